"""What PyPI says of a release's provenance, held against its rules as the notes describe them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from packaging.version import Version

from attested_publish.rules.provenance_states import (
    ABSENT,
    UNKNOWN,
    Attested,
    Publisher,
    Source,
    State,
    differing,
    file_with,
    publishers_of,
    release_before,
    states_of,
)

HISTORIES_A_SEED = 150
VERSIONS = ("0.9", "1.0rc1", "1.0", "1.0.post1", "1.1.dev3", "1.1", "2.0a1", "2.0", "1!0.1", "10.0")
PUBLISHERS: tuple[dict[str, Any], ...] = (
    {"kind": "GitHub", "repository": "o/r", "workflow": "release.yml", "environment": None},
    {"kind": "GitHub", "repository": "o/r", "workflow": "release.yml", "environment": "pypi"},
    {"kind": "GitHub", "repository": "o/r", "workflow": "other.yml", "environment": "pypi"},
    {"kind": "GitHub", "repository": "O/r", "workflow": "release.yml", "environment": "pypi"},
    {"kind": "GitHub", "repository": "moved/r", "workflow": "release.yml", "environment": None},
    {"kind": "GitLab", "repository": "o/r", "workflow_filepath": "release.yml"},
    {"kind": "Google", "email": "o/r"},
    {"kind": "Google", "email": "publish@x.iam.gserviceaccount.com"},
)
UNREADABLE: tuple[Any, ...] = (
    "garbage",
    [],
    {},
    {"attestation_bundles": []},
    {"attestation_bundles": {}},
    {"attestation_bundles": [{"publisher": PUBLISHERS[0], "attestations": []}]},
    {"attestation_bundles": [{"publisher": PUBLISHERS[0]}]},
    {"attestation_bundles": [{"publisher": {"kind": "GitHub"}, "attestations": [{}]}]},
    {"attestation_bundles": [{"publisher": {"repository": "o/r"}, "attestations": [{}]}]},
    {"attestation_bundles": [{"publisher": "o/r", "attestations": [{}]}]},
    {
        "attestation_bundles": [
            {"publisher": {"kind": "GitHub", "repository": ["o"]}, "attestations": [1]}
        ]
    },
    {
        "attestation_bundles": [
            {"publisher": {"kind": "GitHub", "repository": "o" * 9000}, "attestations": [1]}
        ]
    },
)


def provenance(*publishers: dict[str, Any]) -> dict[str, Any]:
    bundles = [{"publisher": each, "attestations": [{"version": 1}]} for each in publishers]
    return {"version": 1, "attestation_bundles": bundles}


def random_file(chance: random.Random, usual: dict[str, Any]) -> Any:
    """Return a file's provenance, or a stand-in: `None` if it has none, else something unreadable.

    Most have the usual publisher: else every release would be inconsistent.
    """
    kind = chance.choices(("usual", "none", "other", "two", "unreadable"), (60, 20, 8, 4, 8))[0]
    match kind:
        case "usual":
            return provenance(usual)
        case "none":
            return None
        case "other":
            return provenance(chance.choice(PUBLISHERS))
        case "two":
            return provenance(*chance.sample(PUBLISHERS, 2))
        case _:
            return chance.choice(UNREADABLE)


def random_history(chance: random.Random) -> dict[str, list[Any]]:
    """Return the provenance of the files of each version; some releases have none at all."""
    history = {}
    for version in chance.sample(VERSIONS, chance.randint(1, 5)):
        usual = chance.choice(PUBLISHERS)
        files = [random_file(chance, usual) for _ in range(chance.randint(1, 5))]
        history[version] = [None] * len(files) if chance.random() < 0.25 else files
    return history


# The rules once more, from the notes alone: over the JSON that is served, file by file.


def is_unreadable(file: Any) -> bool:
    return any(file is each for each in UNREADABLE)


def served_publishers(files: list[Any]) -> list[dict[str, Any]]:
    readable = [file for file in files if file is not None and not is_unreadable(file)]
    return [bundle["publisher"] for file in readable for bundle in file["attestation_bundles"]]


def source(publisher: dict[str, Any]) -> tuple[str, str]:
    return publisher["kind"], publisher.get("repository") or publisher["email"]


def workflow(publisher: dict[str, Any]) -> str | None:
    return publisher.get("workflow") or publisher.get("workflow_filepath")


def rules(history: dict[str, list[Any]], version: str) -> set[str]:
    files = history[version]
    ordered = sorted(history, key=Version)
    place = ordered.index(version)
    before = history[ordered[place - 1]] if place else None
    without = files.count(None)
    unreadable = sum(map(is_unreadable, files))
    with_provenance = len(files) - without - unreadable
    said = set()
    if without == len(files):
        said.add("no")
    if with_provenance == len(files):
        said.add("full")
    if with_provenance and without:
        said.add("partial")
    publishers = served_publishers(files)
    if len(set(map(source, publishers))) > 1 or len(set(map(workflow, publishers))) > 1:
        said.add("inconsistent")
    if unreadable:
        said.add("unknown")
    if before is None:
        return said
    if any(map(is_unreadable, before)):
        said.add("unknown")
    earlier = set(map(source, served_publishers(before)))
    if earlier and without == len(files):
        said.add("lost")
    if earlier and any(source(each) not in earlier for each in publishers):
        said.add("changed")
    return said


def computed(history: dict[str, list[Any]], version: str) -> set[str]:
    """Return what the module says of a release."""
    versions = {Version(each): each for each in history}
    before = release_before(versions, Version(version))

    def read(files: list[Any]) -> list[Any]:
        return [ABSENT if file is None else file_with(file) for file in files]

    earlier = read(history[versions[before]]) if before is not None else []
    return {state.value for state in states_of(read(history[version]), earlier)}


@pytest.mark.parametrize("seed", range(20))
def test_random_histories(seed: int) -> None:
    chance = random.Random(seed)
    seen: set[str] = set()
    for _ in range(HISTORIES_A_SEED):
        history = random_history(chance)
        for version in history:
            expected = rules(history, version)
            assert computed(history, version) == expected, (history, version)
            seen |= expected
    assert seen == {state.value for state in State}


@pytest.mark.parametrize("served", UNREADABLE)
def test_what_cannot_be_read_is_unknown_not_absent(served: Any) -> None:
    assert file_with(served) is UNKNOWN
    assert states_of([UNKNOWN]) == {State.UNKNOWN}


def test_hostile_amounts_are_unknown() -> None:
    assert file_with(provenance(*[PUBLISHERS[0]] * 10_000)) is UNKNOWN


def attested(*publishers: dict[str, Any]) -> Attested:
    found = file_with(provenance(*publishers))
    assert isinstance(found, Attested)
    return found


def test_what_differs_is_shown_side_by_side() -> None:
    old, other_workflow, moved, google = (attested(PUBLISHERS[number]) for number in (0, 2, 4, 7))
    assert differing([moved], [old]) == (
        (
            Publisher(Source("GitHub", "o/r"), "release.yml"),
            Publisher(Source("GitHub", "moved/r"), "release.yml"),
        ),
    )
    assert not differing([other_workflow], [old])
    assert not differing([old], [old, moved]), "one of two sources is no longer used"
    assert not differing([old], [])
    assert len(differing([moved, google], [old, other_workflow])) == 4


def test_the_environment_is_no_part_of_it() -> None:
    assert publishers_of([attested(PUBLISHERS[0]), attested(PUBLISHERS[1])]) == (
        Publisher(Source("GitHub", "o/r"), "release.yml"),
    )


def test_more_unknown_files_hide_no_change() -> None:
    before = [attested(PUBLISHERS[0]), UNKNOWN]
    assert State.CHANGED in states_of([attested(PUBLISHERS[4])], before)
    assert State.LOST in states_of([ABSENT], before)
    assert State.LOST not in states_of([ABSENT, UNKNOWN], before)
    assert State.LOST not in states_of([ABSENT], [UNKNOWN])


@pytest.mark.parametrize(
    ("version", "before"),
    [
        ("1.0", "1.0rc1"),
        ("1.0rc1", "0.9"),
        ("1.0.1", "1.0"),
        ("2.0", "1.0"),
        ("1!0.1", "2.0.1"),
        ("1.0.0", "1.0rc1"),
        ("0.1", None),
    ],
)
def test_the_release_before_is_the_next_lower_version(version: str, before: str | None) -> None:
    versions = map(Version, ("2.0.1", "0.9", "1.0rc1", "1.0"))
    found = release_before(versions, Version(version))
    assert (None if found is None else str(found)) == before
