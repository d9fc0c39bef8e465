"""An embedded index with a history: what it serves is genuine, save for the faults asked for."""

from __future__ import annotations

import json
import os
import signal
import string
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from pypi_attestations import (
    Attestation,
    GitHubPublisher,
    GitLabPublisher,
    GooglePublisher,
    Provenance,
)
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier

from attested_publish.attestations.verify import (
    AttestationRefused,
    policy_of,
    verify_attestation,
)
from attested_publish.fronts import cli
from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.history.reading import parse_history
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.json_file import JsonFileError
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.command import command, command_line
from support.environment import without_a_job
from support.independent import judge
from support.index_client import client_of
from support.keys import issuer_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIMPLE = "application/vnd.pypi.simple.v1+json"
OLD = "2019-03-01T12:00:00+01:00"
SHA = "0123456789abcdef0123456789abcdef01234567"
PROVENANCE_FAULTS = ("missing", "empty", "garbage", "other-bytes", "other-publisher")

GITHUB = {
    "repository": "octo-org/github",
    "workflow": "publish.yaml",
    "environment": "pypi",
    "ref": "refs/heads/main",
    "sha": SHA,
}
GITLAB = {"kind": "GitLab", "repository": "octo-group/sub/gitlab", "workflow_filepath": "ci/a.yml"}
GOOGLE = {"kind": "Google", "email": "release@google.iam.gserviceaccount.com"}
HISTORY: dict[str, Any] = {
    "publishers": {"hub": GITHUB},
    "releases": [
        {
            "project": "Hub.Project",
            "version": "1.0",
            "publisher": "hub",
            "attestations": ["publish", "slsa"],
            "uploaded": OLD,
        },
        {"project": "Hub.Project", "version": "1.1", "publisher": "hub", "yanked": "bad & old"},
        {"project": "hub-project", "version": "1.2"},
        {
            "project": "lab",
            "version": "2",
            "publisher": GITLAB,
            "attestations": ["slsa"],
            "files": ["lab-2-1-cp312.cp313-abi3-manylinux_2_28_x86_64.whl"],
        },
        {"project": "account", "version": "1.0rc1", "publisher": GOOGLE},
        {
            "project": "mixed",
            "version": "1.0",
            "publisher": GITHUB,
            "files": [
                "mixed-1.0-py3-none-any.whl",
                {"name": "mixed-1.0-py2-none-any.whl", "publisher": GOOGLE, "yanked": True},
                {"name": "mixed-1.0.tar.gz", "publisher": None},
            ],
        },
        {
            "project": "faulty",
            "version": "1.0",
            "publisher": GITHUB,
            "files": [
                {"name": f"faulty-1.0-{number}-py3-none-any.whl", "fault": fault}
                for number, fault in enumerate(PROVENANCE_FAULTS)
            ],
        },
    ],
    "projects": {
        "account": {"status": "quarantined"},
        "lab": {"status": "archived", "reason": "!"},
    },
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    # Faults of the services are for those who use them later.
    faults = [parse_fault("log=signature*1"), parse_fault("certificate=sct*1")]
    with World(
        claims=job_claims({}, {}),
        registry=Registry.open(),
        issuer_key=issuer_key(),
        history=parse_history(json.dumps(HISTORY)),
        faults=faults,
    ) as world:
        yield world


def page(world: World, project: str) -> dict[str, Any]:
    answer = requests.get(f"{world.index_url}{project}/", headers={"Accept": SIMPLE}, timeout=20)
    assert answer.status_code == 200
    return answer.json()


def files_of(world: World, project: str) -> dict[str, dict[str, Any]]:
    return {file["filename"]: file for file in page(world, project)["files"]}


def served(file: dict[str, Any]) -> Provenance:
    answer = requests.get(file["provenance"], timeout=20)
    assert answer.status_code == 200
    return Provenance.model_validate_json(answer.content)


def verifier_of(world: World, folder: Path) -> Verifier:
    world.export(folder / "world")
    return Verifier(trusted_root=TrustedRoot.from_file(str(folder / "world" / "trusted_root.json")))


def verified(file: dict[str, Any], verifier: Verifier) -> tuple[Any, list[dict[str, Any]]]:
    """Verify a file's provenance with Sigstore; return its publisher, and the statements."""
    (bundle,) = served(file).attestation_bundles
    statements = []
    for attestation in bundle.attestations:
        _, payload = verifier.verify_dsse(attestation.to_bundle(), policy_of(bundle.publisher))
        statement = json.loads(payload)
        assert statement["subject"] == [
            {"name": file["filename"], "digest": {"sha256": file["hashes"]["sha256"]}}
        ]
        statements.append(statement)
    return bundle.publisher, statements


def test_what_is_served_verifies_for_every_kind_of_publisher(world: World, tmp_path: Path) -> None:
    verifier = verifier_of(world, tmp_path)
    hub = files_of(world, "hub-project")
    assert set(hub) == {
        f"hub_project-1.{minor}{end}"
        for minor in range(3)
        for end in ("-py3-none-any.whl", ".tar.gz")
    }
    expected = GitHubPublisher(
        repository="octo-org/github", workflow="publish.yaml", environment="pypi"
    )
    for name, file in hub.items():
        if "-1.2" in name:
            assert file["provenance"] is None
            continue
        publisher, statements = verified(file, verifier)
        assert publisher == expected
        kinds = [each["predicateType"] for each in statements]
        publish = "https://docs.pypi.org/attestations/publish/v1"
        assert kinds == [publish, "https://slsa.dev/provenance/v1"][: 2 if "-1.0" in name else 1]
    slsa = statements_of_slsa(hub["hub_project-1.0.tar.gz"], verifier)
    assert slsa["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {
            "uri": "git+https://github.com/octo-org/github@refs/heads/main",
            "digest": {"gitCommit": SHA},
        }
    ]

    (lab,) = files_of(world, "lab").values()
    publisher, (statement,) = verified(lab, verifier)
    assert publisher == GitLabPublisher(
        repository="octo-group/sub/gitlab", workflow_filepath="ci/a.yml"
    )
    pipeline = statement["predicate"]["buildDefinition"]["externalParameters"]["pipeline"]
    assert pipeline["ref"] == "refs/tags/v2"

    mixed = files_of(world, "mixed")
    assert mixed["mixed-1.0.tar.gz"]["provenance"] is None
    publisher, _ = verified(mixed["mixed-1.0-py2-none-any.whl"], verifier)
    assert publisher == GooglePublisher(email="release@google.iam.gserviceaccount.com")
    publisher, _ = verified(mixed["mixed-1.0-py3-none-any.whl"], verifier)
    assert publisher == expected


def statements_of_slsa(file: dict[str, Any], verifier: Verifier) -> dict[str, Any]:
    return verified(file, verifier)[1][1]


def test_certificates_and_log_entries_are_from_the_time_of_the_upload(world: World) -> None:
    old = files_of(world, "hub-project")["hub_project-1.0.tar.gz"]
    assert old["upload-time"] == "2019-03-01T11:00:00Z"
    (bundle,) = served(old).attestation_bundles
    for attestation in bundle.attestations:
        (entry,) = attestation.verification_material.transparency_entries
        assert entry["integratedTime"] == "1551438000"
    assert files_of(world, "lab").popitem()[1]["upload-time"] > "2026"


def test_another_implementation_of_sigstore_accepts_it(
    node_modules: Path, world: World, tmp_path: Path
) -> None:
    world.export(tmp_path / "world")
    files = [*files_of(world, "hub-project").values(), *files_of(world, "lab").values()]
    attestations = [
        attestation
        for file in files
        if file["provenance"]
        for bundle in served(file).attestation_bundles
        for attestation in bundle.attestations
    ]
    assert len(attestations) == 7
    root = (tmp_path / "world" / "trusted_root.json").read_text()
    bundles = [json.loads(each.to_bundle().to_json()) for each in attestations]
    judged = judge(node_modules, tmp_path, root, bundles)
    assert [each for each in judged if not each.get("accepted")] == [], judged


def test_pages_say_what_became_of_releases(world: World) -> None:
    hub = files_of(world, "hub-project")
    assert {name: file["yanked"] for name, file in hub.items() if file["yanked"]} == {
        "hub_project-1.1-py3-none-any.whl": "bad & old",
        "hub_project-1.1.tar.gz": "bad & old",
    }
    assert files_of(world, "mixed")["mixed-1.0-py2-none-any.whl"]["yanked"] is True
    html = requests.get(f"{world.index_url}hub-project/", timeout=20).text
    assert html.count('data-yanked="bad &amp; old"') == 2
    html = requests.get(f"{world.index_url}mixed/", timeout=20).text
    assert html.count('data-yanked=""') == 1
    assert page(world, "lab")["project-status"] == {"status": "archived", "reason": "!"}
    hidden = page(world, "account")
    assert (hidden["project-status"], hidden["files"]) == ({"status": "quarantined"}, [])

    described = requests.get(
        world.index_url.replace("/simple/", "/pypi/hub-project/json"), timeout=20
    ).json()
    assert described["info"]["name"] == "Hub.Project"
    assert described["info"]["version"] == "1.2"
    assert {
        version: {(each["yanked"], each["yanked_reason"]) for each in files}
        for version, files in described["releases"].items()
    } == {"1.0": {(False, None)}, "1.1": {(True, "bad & old")}, "1.2": {(False, None)}}
    old = requests.get(
        world.index_url.replace("/simple/", "/pypi/hub-project/1.1/json"), timeout=20
    ).json()
    assert (old["info"]["yanked"], old["info"]["yanked_reason"]) == (True, "bad & old")


def test_each_fault_is_what_it_says(world: World, tmp_path: Path) -> None:
    verifier = verifier_of(world, tmp_path)
    by_fault = dict(zip(PROVENANCE_FAULTS, files_of(world, "faulty").values(), strict=True))
    answers = {
        fault: requests.get(file["provenance"], timeout=20) for fault, file in by_fault.items()
    }
    assert answers.pop("missing").status_code == 404
    assert {answer.status_code for answer in answers.values()} == {200}
    assert answers["empty"].json() == {"version": 1, "attestation_bundles": []}
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answers["garbage"].json()
    for fault, told in (
        ("other-bytes", "about other bytes"),
        ("other-publisher", "expected .*/not-github"),
    ):
        file = by_fault[fault]
        (bundle,) = Provenance.model_validate_json(answers[fault].content).attestation_bundles
        (attestation,) = bundle.attestations
        with pytest.raises(AttestationRefused, match=told):
            verify(attestation, file, bundle.publisher, verifier)
    named = GitHubPublisher(
        repository="octo-org/github", workflow="publish.yaml", environment="pypi"
    )
    verify(attestation, by_fault["other-publisher"], named, verifier)
    assert bundle.publisher.repository == "octo-org/not-github"


def verify(
    attestation: Attestation, file: dict[str, Any], publisher: Any, verifier: Verifier
) -> None:
    verify_attestation(
        attestation,
        filename=file["filename"],
        sha256=file["hashes"]["sha256"],
        policy=policy_of(publisher),
        verifier=verifier,
    )


def test_jobs_can_publish_to_it(world: World, tmp_path: Path) -> None:
    """The faults of the services are still there for them: the history took none."""
    trust = tmp_path / "trust_config.json"
    trust.write_text(world.trust_config)
    history = parse_history(json.dumps({"releases": [{"project": "sample", "version": "0.9"}]}))
    files = world.fill(history)
    assert [file.filename for file in files] == ["sample-0.9-py3-none-any.whl", "sample-0.9.tar.gz"]
    assert world.faults.take("log", "signature")
    assert world.faults.take("certificate", "sct")


def test_files_are_such_as_pypi_accepts_and_the_same_each_time(
    world: World, tmp_path: Path
) -> None:
    text = json.dumps(
        {
            "releases": [
                {
                    "project": "Some.Where",
                    "version": "1.0.post1",
                    "files": [
                        "some_where-1.0.post1-py3-none-any.whl",
                        "some_where-1.0.post1-7build-cp312-abi3-manylinux_2_28_x86_64.whl",
                        "some_where-1.0.post1.tar.gz",
                    ],
                }
            ]
        }
    )
    first = {file.filename: file.sha256 for file in world.fill(parse_history(text))}
    files = world.fill(parse_history(text))
    assert first == {file.filename: file.sha256 for file in files}
    with World(
        claims=job_claims({}, {}), registry=Registry.open(), issuer_key=issuer_key()
    ) as other:
        client = client_of(other)
        for file in files:
            path = tmp_path / file.filename
            path.write_bytes(file.path.read_bytes())
            answer = client.upload(path, client.token())
            assert answer.status_code == 200, answer.text


def test_hundreds_of_files_are_signed_in_a_few_seconds(world: World) -> None:
    releases = [
        {"project": f"many{number}", "version": "1.0", "publisher": GITHUB} for number in range(150)
    ]
    history = parse_history(json.dumps({"releases": releases}))
    begin = time.process_time()
    assert len(world.fill(history)) == 300
    assert time.process_time() - begin < 4


# As a command.


@pytest.fixture
def services(tmp_path: Path) -> Iterator[dict[str, Any]]:
    path = tmp_path / "history.json"
    releases = [
        {"project": "amber-dust", "version": "1.0", "publisher": GITHUB, "uploaded": OLD},
        {"project": "amber-dust", "version": "1.1", "publisher": GITLAB},
    ]
    path.write_text(json.dumps({"releases": releases}))
    with subprocess.Popen(
        command_line("services", "--history", path, "--export", tmp_path / "world"),
        env=without_a_job(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check"),
            *map(str, arguments),
        ],
        env={**without_a_job(), "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pip_installs_from_it_and_locks_are_verified(
    services: dict[str, Any], tmp_path: Path
) -> None:
    index = ("--index-url", services["index_url"], "--no-cache-dir", "--no-deps")
    pip("download", *index, "--dest", tmp_path / "wheels", "amber-dust==1.0")
    (wheel,) = (tmp_path / "wheels").iterdir()
    assert wheel.name == "amber_dust-1.0-py3-none-any.whl"
    for name, kind in (("wheel", "--only-binary"), ("sdist", "--no-binary")):
        target = tmp_path / name
        pip("install", *index, "--target", target, kind, ":all:", "amber-dust==1.1")
        module = (target / "amber_dust" / "__init__.py").read_text()
        assert module.startswith('"""amber-dust 1.1')
        assert (target / "amber_dust-1.1.dist-info" / "RECORD").is_file()

    files = {
        file["filename"]: file["hashes"]["sha256"]
        for file in requests.get(
            f"{services['index_url']}amber-dust/", headers={"Accept": SIMPLE}, timeout=20
        ).json()["files"]
    }
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"amber-dust==1.1 --hash=sha256:{files['amber_dust-1.1-py3-none-any.whl']}\n")
    done = command(
        *("verify", "--lock", lock, "--index-url", services["index_url"], "--no-cache"),
        *("--sigstore-trust-config", tmp_path / "world" / "trust_config.json"),
        *("--report", tmp_path / "report.json"),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (package,) = json.loads((tmp_path / "report.json").read_text())["packages"]
    assert [each["rule"] for each in package["findings"]] == ["publisher-changed"]
    assert package["publisher"]["repository"] == "octo-group/sub/gitlab"


# What is wrong with a file.


def release(**keys: Any) -> dict[str, Any]:
    return {"releases": [{"project": "sample", "version": "1.0", **keys}]}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "not a JSON object with 'releases'"),
        ({}, "the history has no 'releases'"),
        ({"releases": {}}, "'releases' is not a list"),
        ({"releases": [1]}, r"releases\[0\] is not an object"),
        ({"releases": [], "release": []}, "the history has the unknown key 'release'"),
        ({"releases": [], "a": []}, "'a'; it can have releases, publishers, projects"),
        ({"releases": [], "publishers": []}, "'publishers' is not an object"),
        ({"releases": [], "projects": []}, "'projects' is not an object"),
        ({"releases": [{"version": "1"}]}, r"releases\[0\] has no 'project'"),
        (release(yank=True), r"releases\[0\] has the unknown key 'yank'"),
        (release(project="-"), r"'project' of releases\[0\] is '-'"),
        (release(project="x" * 201), r"releases\[0\] has a name or version of over 200"),
        (release(version="new"), r"'version' of releases\[0\] is 'new'"),
        (release(version=1.0), r"'version' of releases\[0\] is 1.0"),
        (release(files=[]), r"'files' of releases\[0\] is not a list of at least one"),
        (release(files="sample-1.0.tar.gz"), r"'files' of releases\[0\] is not a list"),
        (release(files=[1]), r"'name' of files\[0\] of releases\[0\] is 1"),
        (release(files=[{}]), r"files\[0\] of releases\[0\] has no 'name'"),
        (release(files=["sample-1.0.zip"]), r"must be the name of a wheel or of an sdist"),
        (release(files=["sample-1.0-any.whl"]), r"must be the name of a wheel or of an sdist"),
        (release(files=["../sample-1.0.tar.gz"]), r"must be a filename"),
        (release(files=["sample-1.1.tar.gz"]), r"is not of sample 1.0"),
        (release(files=["other-1.0.tar.gz"]), r"is not of sample 1.0"),
        (release(files=["sample-1.0.tar.gz"] * 2), r"releases\[0\] has the file .* again"),
        (
            release(files=[f"sample-1.0-{'.'.join(string.ascii_lowercase)}-a.b.c.d-any.whl"]),
            "over 100 tags",
        ),
        (release(publisher="hub"), r"'publisher' of releases\[0\] is 'hub', which 'publishers'"),
        (release(publisher=1), r"'publisher' of releases\[0\] is 1; it must be an object"),
        (release(publisher={}), r"'publisher' of releases\[0\] has no 'repository'"),
        (release(publisher={"kind": "Gitea"}), "must be one of GitHub, GitLab, Google"),
        (release(publisher={"kind": []}), "must be one of GitHub, GitLab, Google"),
        (release(publisher={"repository": "octo-org"}), "must have the form OWNER/NAME"),
        (release(publisher={"repository": "a/b/c"}), "must have the form OWNER/NAME"),
        (release(publisher={"repository": 1}), "must have the form OWNER/NAME"),
        (release(publisher={"repository": "a/b", "workflow": "a/b.yml"}), "'workflow' of"),
        (release(publisher={"repository": "a/b", "email": "a@b"}), "unknown key 'email'"),
        (release(publisher={"repository": "a/b", "ref": "v1"}), "must begin with refs/tags/"),
        (release(publisher={"repository": "a/b", "ref": "refs/heads/"}), "and then have a name"),
        (release(publisher={"repository": "a/b", "ref": "refs/tags/a b"}), "and then have a name"),
        (release(publisher={"repository": "a/b", "ref": "refs/tags/\ud800"}), "'ref' of"),
        (release(publisher={"repository": "a/b", "sha": "abc"}), "must be a commit"),
        (release(publisher={"repository": "a/b", "environment": 1}), "'environment' of"),
        (release(publisher={"repository": "a/b", "environment": "\ud800"}), "a line of text"),
        (release(publisher={"repository": "a/b", "environment": "a\nb"}), "a line of text"),
        (release(publisher={"repository": "a/b", "environment": "e" * 1001}), "a line of text"),
        (
            release(publisher={"kind": "GitLab", "repository": "a/b", "workflow_filepath": "x"}),
            "'workflow_filepath' of",
        ),
        (release(publisher={"kind": "Google", "email": "me"}), "'email' of"),
        ({"releases": [], "publishers": {"a": 1}}, "publishers.a is 1; it must be an object"),
        ({"releases": [], "publishers": {"a\n\x1b": 1}}, r"publishers.a \\x1b is 1"),
        (release(attestations="publish"), "must be a list of publish and slsa"),
        (release(attestations=["provenance"]), "must be a list of publish and slsa"),
        (release(attestations=[["publish"]]), "must be a list of publish and slsa"),
        (release(publisher=GITHUB, attestations=["slsa", "slsa"]), "names a kind twice"),
        (release(publisher=GOOGLE, attestations=["slsa"]), "says nothing about a build"),
        (release(fault="late"), "must be one of missing, empty, garbage"),
        (release(fault=["missing"]), "must be one of missing, empty, garbage"),
        (release(fault="other-bytes"), r"files\[0\] of releases\[0\] has no attestations"),
        (release(uploaded="yesterday"), "must be a time with its zone"),
        (release(uploaded="2020-01-01T00:00:00"), "must be a time with its zone"),
        (release(uploaded=0), "must be a time with its zone"),
        (release(uploaded="2999-01-01T00:00:00Z"), "between 2000-01-01 and now"),
        (release(uploaded="1999-01-01T00:00:00Z"), "between 2000-01-01 and now"),
        (release(yanked=1), "must be true, false or the reason"),
        (release(yanked="\udfff"), "must be true, false or the reason"),
        (release(yanked="a\x1b[31mb"), "must be true, false or the reason"),
        ({"releases": [], "projects": {"a": 1}}, "projects.a is not an object"),
        ({"releases": [], "projects": {"a": {}}}, "projects.a has no 'status'"),
        (
            {"releases": [], "projects": {"a": {"status": "archived", "reason": "\ud800"}}},
            "'reason' of projects.a",
        ),
        ({"releases": [], "projects": {"a": {"status": "gone"}}}, "must be one of active"),
        ({"releases": [], "projects": {"a": {"status": []}}}, "must be one of active"),
        ({"releases": [], "projects": {"-": {"status": "active"}}}, "a key of 'projects'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(document: Any, told: str) -> None:
    with pytest.raises(JsonFileError, match=told) as refusal:
        parse_history(json.dumps(document))
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_there_is_a_bound_to_files() -> None:
    names = [f"sample-1.0-{number}-py3-none-any.whl" for number in range(20_001)]
    with pytest.raises(JsonFileError, match="there can be 20000 files"):
        parse_history(json.dumps(release(files=names)))


@pytest.mark.parametrize("content", ["", "{", '{"releases": [], "releases": []}', "[" * 100_000])
def test_what_is_no_json_is_told(content: str) -> None:
    with pytest.raises(JsonFileError):
        parse_history(content)


def test_a_bad_file_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "history.json"
    for content, told in (
        (None, "cannot be read"),
        (json.dumps(release(version="?")), "'version' of releases[0]"),
        (" " * 11_000_000, "larger than"),
    ):
        if content is not None:
            path.write_text(content)
        with pytest.raises(SystemExit) as ended:
            cli.main(["services", "--history", str(path), "--latency", "nothing=1"])
        assert ended.value.code == 2
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("attested-publish: --history: ")
        assert str(path) in first
        assert told in first
        assert "--latency" in second
