"""Forty locks with which something is wrong: every one is found, and told from the others."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from support.dependencies import Releases, pylock, requirements
from support.filled import Filled, filled_world, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_cache")

TOMORROW = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2)
YESTERDAY = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2)
MORE_TAGS = ("py3-none-any", "cp311-cp311-win32", "cp312-cp312-win32")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        releases.publish("steady", version, sdist=True)
        releases.publish("never", version, attested=False)
        releases.publish("withenv", version, environment="pypi")
    releases.publish("moved", "1.0")
    releases.publish("moved", "2.0", "evil-org/moved")
    releases.publish("cased", "1.0", "octo-org/cased")
    releases.publish("cased", "1.1", "octo-org/Cased")
    releases.publish("confused", "1.0", "octo-org/confused")
    releases.publish("confused", "1.1", "octo-org/c0nfused")
    releases.publish("reworked", "1.0")
    releases.publish("reworked", "1.1", workflow="ci.yml")
    releases.publish("envlost", "1.0", environment="pypi")
    releases.publish("envlost", "1.1")
    releases.publish("lost", "1.0")
    releases.publish("lost", "1.1", attested=False)
    releases.publish("partly", "1.0", tags=MORE_TAGS)
    releases.publish("partly", "1.1", tags=MORE_TAGS[:2])
    releases.publish("partly", "1.1", "evil-org/partly", tags=MORE_TAGS[2:])
    releases.publish("fresh", "1.0")


@dataclass
class Case:
    """A lock, what it is verified against, and the rules of what is found besides notices."""

    name: str
    lock: Callable[[Filled], str]
    rules: set[str]
    says: str = ""
    against: Callable[[Filled], str] | None = None
    policy: str | None = None
    status: int = 1
    options: list[str] = field(default_factory=list)
    is_requirements: bool = False


def entries(*named: tuple[str, str], **options: Any) -> Callable[[Filled], str]:
    return lambda filled: pylock([filled.of(*each) for each in named], **options)


def with_hash(name: str, version: str, sha256: str) -> Callable[[Filled], str]:
    def made(filled: Filled) -> str:
        files = dict(filled.of(name, version)[2])
        files[next(iter(files))] = sha256
        return pylock([(name, version, files)])

    return made


def with_files_of(name: str, version: str, other: str, theirs: str) -> Callable[[Filled], str]:
    """Give files of another release the names that the lock's would have."""
    renamed = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"

    def made(filled: Filled) -> str:
        sha256 = next(iter(filled.of(other, theirs)[2].values()))
        return pylock([(name, version, {renamed: sha256})])

    return made


def from_index(url: str, name: str = "steady") -> Callable[[Filled], str]:
    return lambda filled: pylock(
        [filled.of(name, "1.1")], index=url.replace("HERE", filled.index_url.rstrip("/"))
    )


def pinned(name: str, version: str, **fields: str) -> Callable[[Filled], str]:
    listed = "".join(f'{key} = "{value}"\n' for key, value in fields.items())
    extra = {name: f"[[packages.attestation-identities]]\n{listed}"}
    return entries((name, version), extra=extra)


def expecting(name: str, *exceptions: str, **fields: str) -> str:
    lines = [f"[project.{name}]", *(f'{key} = "{value}"' for key, value in fields.items())]
    for exception in exceptions:
        lines += [f"[[project.{name}.exceptions]]", exception]
    return "\n".join(lines) + "\n"


def excepted(rule: str, until: object = TOMORROW, reason: str = "they told us") -> str:
    return f'rule = "{rule}"\nreason = "{reason}"\nuntil = {until}'


GITHUB = {"kind": "GitHub", "workflow": "release.yml"}
CASES = [
    Case("other bytes", with_hash("steady", "1.1", "0" * 64), {"hash-not-served"}, "0000"),
    Case("a digit off", with_hash("never", "1.0", "f" * 64), {"hash-not-served"}),
    Case(
        "files of another version",
        with_files_of("steady", "1.1", "steady", "1.0"),
        {"hash-not-served"},
    ),
    Case(
        "files of another project",
        with_files_of("steady", "1.1", "never", "1.1"),
        {"hash-not-served"},
    ),
    Case(
        "one hash too many",
        lambda filled: requirements(
            [("steady", "1.1", {**filled.of("steady", "1.1")[2], "x": "a" * 64})]
        ),
        {"hash-not-served"},
        is_requirements=True,
    ),
    Case(
        "no such version", with_files_of("steady", "9.9", "steady", "1.1"), {"version-not-served"}
    ),
    Case(
        "no such project",
        with_files_of("stedy", "1.1", "steady", "1.1"),
        {"version-not-served"},
        "no project stedy",
    ),
    Case(
        "a project with a dash",
        with_files_of("ste-ady", "1.1", "steady", "1.1"),
        {"version-not-served"},
    ),
    Case(
        "not a version",
        with_files_of("steady", "1.1+local", "steady", "1.1"),
        {"version-not-served"},
    ),
    Case("publisher changed", entries(("moved", "2.0")), {"publisher-changed"}, "evil-org/moved"),
    Case(
        "case of the repository",
        entries(("cased", "1.1")),
        {"publisher-changed"},
        "case of letters",
    ),
    Case(
        "digit in the repository", entries(("confused", "1.1")), {"publisher-changed"}, "look alike"
    ),
    Case("workflow changed", entries(("reworked", "1.1")), {"publisher-changed"}, "ci.yml"),
    Case(
        "environment lost", entries(("envlost", "1.1")), {"publisher-changed"}, "environment pypi"
    ),
    Case(
        "one file by a stranger",
        entries(("partly", "1.1")),
        {"publisher-changed"},
        "evil-org/partly",
    ),
    Case(
        "attestations lost",
        entries(("lost", "1.1")),
        {"provenance-lost"},
        "1.0 (the release before)",
    ),
    Case(
        "changed since the old lock",
        entries(("moved", "2.0")),
        {"publisher-changed"},
        "in ",
        against=entries(("moved", "1.0")),
    ),
    Case(
        "lost since the old lock",
        entries(("lost", "1.1")),
        {"provenance-lost"},
        against=entries(("lost", "1.0")),
    ),
    Case(
        "new in this lock, with a stranger",
        entries(("steady", "1.1"), ("moved", "2.0")),
        {"publisher-changed"},
        "the release before",
        against=entries(("steady", "1.1")),
    ),
    Case(
        "a stranger's file joined the release",
        entries(("partly", "1.1")),
        {"publisher-changed"},
        against=lambda filled: pylock(
            [("partly", "1.1", dict(list(filled.of("partly", "1.1")[2].items())[:2]))]
        ),
    ),
    Case(
        "another repository than pinned",
        pinned("steady", "1.1", repository="octo-org/other", **GITHUB),
        {"publisher-unexpected"},
        "repository octo-org/steady, not octo-org/other",
    ),
    Case(
        "another workflow than pinned",
        pinned("steady", "1.1", kind="GitHub", repository="octo-org/steady", workflow="a.yml"),
        {"publisher-unexpected"},
    ),
    Case(
        "another kind than pinned",
        pinned("steady", "1.1", kind="GitLab", repository="octo-org/steady"),
        {"publisher-unexpected"},
    ),
    Case(
        "another environment than pinned",
        pinned("withenv", "1.1", repository="octo-org/withenv", environment="prod", **GITHUB),
        {"publisher-unexpected"},
        "environment pypi, not prod",
    ),
    Case(
        "pinned, but for its case",
        pinned("steady", "1.1", repository="Octo-Org/steady", **GITHUB),
        {"publisher-unexpected"},
        "case of letters",
    ),
    Case(
        "pinned, but not attested",
        pinned("never", "1.1", repository="octo-org/never", **GITHUB),
        {"publisher-unexpected"},
        "has no attestations",
    ),
    Case(
        "against the policy",
        entries(("moved", "2.0")),
        {"publisher-unexpected"},
        policy=expecting("moved", repository="octo-org/moved"),
    ),
    Case(
        "the lock agrees with a stranger, the policy does not",
        pinned("moved", "2.0", repository="evil-org/moved", **GITHUB),
        {"publisher-unexpected"},
        "The policy expects",
        policy=expecting("moved", repository="octo-org/moved"),
    ),
    Case(
        "older than what the policy is for",
        entries(("moved", "2.0")),
        {"publisher-changed"},
        policy=expecting("moved", repository="octo-org/moved", since="3.0"),
    ),
    Case(
        "an exception that has ended",
        entries(("moved", "2.0")),
        {"publisher-unexpected"},
        "does not count: it ended",
        policy=expecting("moved", excepted("publisher-unexpected", YESTERDAY), repository="a/b"),
    ),
    Case(
        "an exception without a reason",
        entries(("moved", "2.0")),
        {"publisher-changed"},
        "does not count",
        policy=expecting("moved", excepted("publisher-changed", reason="")),
    ),
    Case(
        "an exception for another rule",
        entries(("moved", "2.0")),
        {"publisher-changed"},
        policy=expecting("moved", excepted("provenance-lost")),
    ),
    Case(
        "an exception that cannot be",
        with_hash("steady", "1.1", "0" * 64),
        {"hash-not-served"},
        policy=expecting("steady", excepted("hash-not-served")),
    ),
    Case("another index", from_index("https://example.org/simple"), {"index-unexpected"}),
    Case("another port", from_index("http://127.0.0.1:1/simple"), {"index-unexpected"}),
    Case("another path", from_index("HERE/evil"), {"index-unexpected"}),
    Case(
        "a user name that looks like a host",
        from_index("https://127.0.0.1@evil.example/simple"),
        {"index-unexpected"},
    ),
    Case(
        "the host continues",
        from_index("http://127.0.0.1.evil.example/simple"),
        {"index-unexpected"},
        "only begins with 127.0.0.1",
    ),
    Case(
        "a second index",
        lambda filled: requirements(
            [filled.of("steady", "1.1")],
            f"--index-url {filled.index_url}",
            "--extra-index-url https://example.org/simple",
        ),
        {"index-unexpected"},
        is_requirements=True,
    ),
    Case(
        "several at once",
        lambda filled: pylock(
            [
                filled.of("moved", "2.0"),
                filled.of("lost", "1.1"),
                ("nope", "1.0", {"nope-1.0-py3-none-any.whl": "0" * 64}),
            ]
        ),
        {"publisher-changed", "provenance-lost", "version-not-served"},
    ),
]


def test_there_are_forty() -> None:
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tampered_lock(case: Case, filled: Filled, tmp_path: Path) -> None:
    texts = {}
    if case.against is not None:
        texts["against"] = case.against(filled)
    if case.policy is not None:
        texts["policy"] = case.policy
    path = tmp_path / ("requirements.txt" if case.is_requirements else "pylock.toml")
    path.write_text(case.lock(filled))
    status, report = filled.verify(tmp_path, "--lock", path, *case.options, **texts)
    found = [each for package in report["packages"] for each in package["findings"]]
    grave = [each for each in found if each["severity"] != "notice"]
    assert {each["rule"] for each in grave} == case.rules, found
    assert status == case.status
    assert report["result"] == "refused"
    assert not report["problems"]
    told = " ".join(f"{each['message']} {each['remedy']}" for each in grave)
    assert case.says in told
    lines = path.read_text().splitlines()
    for each in grave:
        assert each["file"] == str(path)
        assert lines[each["line"] - 1].strip()


HONEST = [
    Case("all at rest", entries(("steady", "1.1"), ("never", "1.1"), ("withenv", "1.1")), set()),
    Case("the first release", entries(("fresh", "1.0")), set()),
    Case("never attested", entries(("never", "1.1")), set()),
    Case("the same as before", entries(("moved", "2.0")), set(), against=entries(("moved", "2.0"))),
    Case("any of the pinned", pinned("moved", "2.0", repository="evil-org/moved", **GITHUB), set()),
    Case(
        "as the policy says",
        entries(("moved", "2.0")),
        set(),
        policy=expecting("moved", repository="evil-org/moved", workflow="release.yml"),
    ),
    Case(
        "excepted",
        entries(("lost", "1.1")),
        set(),
        policy=expecting("lost", excepted("provenance-lost")),
    ),
    Case("this index, with a slash", from_index("HERE/"), set()),
    Case("no packages", lambda _: pylock([]), set()),
]


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_an_honest_lock(case: Case, filled: Filled, tmp_path: Path) -> None:
    texts = {"lock": case.lock(filled)}
    if case.against is not None:
        texts["against"] = case.against(filled)
    if case.policy is not None:
        texts["policy"] = case.policy
    status, report = filled.verify(tmp_path, **texts)
    found = [each for package in report["packages"] for each in package["findings"]]
    assert {each["severity"] for each in found} <= {"notice"}, found
    assert status == 0
    assert report["result"] == "done"
    assert report["schema"] == 1
    assert report["mode"] == "verify"


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"version": 1, "attestation_bundles": []}', b"[]", b"\x00garbage"],
    ids=["nothing", "empty object", "no bundles", "a list", "garbage"],
)
def test_a_provenance_that_proves_nothing(filled: Filled, tmp_path: Path, body: bytes) -> None:
    with filled.changed() as proxy:
        proxy.answer("fresh-1.0-py3-none-any.whl/provenance", body)
        status, report = filled.verify(tmp_path, lock=entries(("fresh", "1.0"))(filled))
    assert status == 1
    assert rules(report) == {"fresh": {"provenance-invalid"}}
    assert report["packages"][0]["publisher"] is None
    assert report["packages"][0]["attested"] == 0


def test_a_provenance_that_is_not_there(filled: Filled, tmp_path: Path) -> None:
    with filled.changed() as proxy:
        proxy.answer("fresh-1.0-py3-none-any.whl/provenance", b"{}", 404)
        status, report = filled.verify(tmp_path, lock=entries(("fresh", "1.0"))(filled))
    assert (status, rules(report)) == (1, {"fresh": {"provenance-invalid"}})


def test_the_provenance_of_other_bytes(filled: Filled, tmp_path: Path) -> None:
    def other(document: dict[str, Any]) -> None:
        for file in document["files"]:
            if file["filename"] == "steady-1.1-py3-none-any.whl":
                file["provenance"] = re.sub(r"1\.1", "1.0", file["provenance"])

    with filled.changed() as proxy:
        proxy.edit("/simple/steady/", other)
        status, report = filled.verify(tmp_path, lock=entries(("steady", "1.1"))(filled))
    assert (status, rules(report)) == (1, {"steady": {"provenance-invalid"}})


@pytest.mark.parametrize(("value", "said"), [(True, "yanked."), ("broken on BSD", "broken on BSD")])
def test_yanked(filled: Filled, tmp_path: Path, value: object, said: str) -> None:
    def yank(document: dict[str, Any]) -> None:
        for file in document["files"]:
            file["yanked"] = value

    with filled.changed() as proxy:
        proxy.edit("/simple/steady/", yank)
        lock = entries(("steady", "1.1"))(filled)
        status, report = filled.verify(tmp_path, lock=lock)
        excepting = expecting("steady", excepted("yanked"))
        (tmp_path / "again").mkdir()
        again, _ = filled.verify(tmp_path / "again", lock=lock, policy=excepting)
    assert (status, rules(report)) == (1, {"steady": {"yanked"}})
    assert said in report["packages"][0]["findings"][0]["message"]
    assert again == 0


def test_a_quarantined_project(filled: Filled, tmp_path: Path) -> None:
    def hide(document: dict[str, Any]) -> None:
        document["files"] = []
        document["project-status"] = {"status": "quarantined", "reason": "malware"}

    with filled.changed() as proxy:
        proxy.edit("/simple/steady/", hide)
        status, report = filled.verify(tmp_path, lock=entries(("steady", "1.1"))(filled))
    assert (status, rules(report)) == (1, {"steady": {"version-not-served"}})
    assert "quarantined" in report["packages"][0]["findings"][0]["message"]
