"""The registry file: what it says, and one sentence for everything it cannot say."""

from __future__ import annotations

import json

import pytest

from attested_publish.rehearsal.json_file import JsonFileError
from attested_publish.rehearsal.pypi.publishers import GitHubWorkflow
from attested_publish.rehearsal.pypi.registry import Registry

ROW = {"owner": "octo-org", "owner_id": "65", "repo": "sample", "workflow": "release.yml"}
ENTRY = {**ROW, "environment": "PyPI", "projects": ["sample", "sample-extra"]}


def test_a_registry_holds_publishers_and_pending_ones():
    registry = Registry.parse(
        json.dumps({"publishers": [ENTRY], "pending_publishers": [{**ROW, "project": "new"}]})
    )

    named = GitHubWorkflow("octo-org", "65", "sample", "release.yml", "pypi")
    anywhere = GitHubWorkflow("octo-org", "65", "sample", "release.yml")
    assert registry.publishers == {named: ("sample", "sample-extra")}
    assert registry.pending == {anywhere: "new"}
    assert not registry.is_open
    assert named.attestation_identity.environment == "pypi"
    assert anywhere.attestation_identity.environment is None


@pytest.mark.parametrize("environment", ["", None, ...])
def test_without_an_environment_any_will_do(environment):
    entry = {key: value for key, value in ENTRY.items() if key != "environment"}
    if environment is not ...:
        entry["environment"] = environment
    (publisher,) = Registry.parse(json.dumps({"publishers": [entry]})).publishers
    assert publisher.environment == ""


def test_an_owner_id_may_be_a_number():
    (publisher,) = Registry.parse(
        json.dumps({"publishers": [{**ENTRY, "owner_id": 65}]})
    ).publishers
    assert publisher.owner_id == "65"


def test_the_open_registry_holds_nobody_in_particular():
    assert Registry.open().is_open
    assert not Registry.open().publishers


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{'publishers': []}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"publishers": [], "publishers": []}', "'publishers' occurs twice"),
        ("[]", "not a JSON object"),
        ("{}", "neither 'publishers' nor"),
        ('{"publisher": []}', "unknown key 'publisher'"),
        ('{"publishers": {}}', "'publishers' is not a list"),
        ('{"publishers": ["x"]}', "publishers[0] is not an object"),
        ('{"publishers": [{}]}', "publishers[0] has no 'owner'"),
        (json.dumps({"publishers": [ROW]}), "publishers[0] has no 'projects'"),
        (json.dumps({"pending_publishers": [ROW]}), "pending_publishers[0] has no 'project'"),
        (
            json.dumps({"pending_publishers": [{**ROW, "project": "a"}] * 2}),
            "pending_publishers[1] repeats",
        ),
        (json.dumps({"publishers": [ENTRY, ENTRY]}), "publishers[1] repeats"),
    ],
)
def test_a_malformed_registry_is_refused_in_one_sentence(text, says):
    with pytest.raises(JsonFileError) as refusal:
        Registry.parse(text)
    assert says in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("owner", "octo/org", "'owner' of publishers[0] is 'octo/org'"),
        ("owner", 7, "'owner' of publishers[0] is 7"),
        ("owner_id", "octo", "the GitHub account's id"),
        ("owner_id", True, "is True"),
        ("owner_id", "٣", "the GitHub account's id"),
        ("repo", "octo-org/sample", "without its owner"),
        ("repo", "..", "without its owner"),
        ("workflow", ".github/workflows/release.yml", "file name alone"),
        ("workflow", "release.YML", "ending in .yml or .yaml"),
        ("workflow", "x" * 100_000, "file name alone"),
        ("environment", ["pypi"], "it must be text, or empty for any"),
        ("environment", " pypi", "it must be text, or empty for any"),
        ("projects", "sample", "not a list of at least one name"),
        ("projects", [], "not a list of at least one name"),
        ("projects", ["-x"], "a project's name"),
        ("projects", ["a.b", "a_b"], "names a project twice"),
        ("enviroment", "pypi", "unknown key 'enviroment'"),
    ],
)
def test_a_malformed_entry_is_named(key, value, says):
    with pytest.raises(JsonFileError) as refusal:
        Registry.parse(json.dumps({"publishers": [{**ENTRY, key: value}]}))
    assert says in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_file_is_read_and_named_when_it_is_wrong(tmp_path):
    path = tmp_path / "registry.json"
    path.write_text(json.dumps({"publishers": [ENTRY]}))
    assert Registry.read(path).publishers

    path.write_text("{}")
    with pytest.raises(JsonFileError, match=r"registry\.json"):
        Registry.read(path)
    with pytest.raises(JsonFileError, match="cannot be read"):
        Registry.read(tmp_path / "missing.json")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(JsonFileError, match="not JSON"):
        Registry.read(path)
