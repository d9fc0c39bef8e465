"""`attested-publish verify`: what an index serves holds for the right publisher, or it is told."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from rich.console import Console
from werkzeug.wrappers import Request, Response

from attested_publish.consumer.download import Limits, NotFetched, address, sha256_of
from attested_publish.consumer.expected import Expected
from attested_publish.fronts import cli
from attested_publish.fronts import verify as verify_command
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.index.pages import IndexFile
from attested_publish.journey.outcome import report_of
from attested_publish.journey.targets import Targets
from attested_publish.rehearsal.jobs.pretended import GITLAB, GOOGLE
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.serving import Server
from attested_publish.rehearsal.world import World
from attested_publish.report import Report, Result
from attested_publish.settings import Settings
from support.index_client import client_of
from support.keys import issuer_key
from support.makers import make_release, make_wheel
from support.releases import Stage, deadlines, problem, run_to, staged
from support.sidecars import attestation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attested_publish.rehearsal.jobs.pretended import Job

WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
REPOSITORY = "octo-org/sample-project"
IMPATIENT = deadlines(0.6)
ANYBODY = Expected()
HERE = f"{REPOSITORY}/.github/workflows"


class Verifier:
    """Calls the command as a user does, for the index of one world."""

    def __init__(self, stage: Stage, folder: Path, capsys: pytest.CaptureFixture) -> None:
        self.stage = stage
        self._config = folder / "trust_config.json"
        self._config.write_text(stage.world.trust_config)
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: object, index: tuple[str, str] | None = None) -> int:
        option, url = index or ("--index-url", self.stage.world.index_url)
        status = cli.main(
            [
                *("verify", *(str(each) for each in arguments), option, url),
                *("--sigstore-trust-config", str(self._config)),
            ]
        )
        self.out, self.err = self._capsys.readouterr()
        return status


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """`sample` 1.0 on an index, published by a job in the environment `pypi`."""
    folder = tmp_path_factory.mktemp("dist")
    make_release(folder)
    with staged(folder, claims={"environment": "pypi"}) as stage:
        assert stage.run().result == "done", stage.printed
        yield stage


@pytest.fixture
def verify(published: Stage, tmp_path: Path, capsys: pytest.CaptureFixture) -> Verifier:
    return Verifier(published, tmp_path, capsys)


def told(
    stage: Stage, *targets: str, expected: Expected = ANYBODY, upload_url: str = ""
) -> tuple[Report, str]:
    """Verify with the short patience of tests."""
    printed = io.StringIO()
    targets_of_run = Targets(
        Index.at(upload_url or stage.world.upload_url),
        stage.world.trust_config,
        deadlines=IMPATIENT,
    )
    wanted = verify_command.read_targets(targets)
    run = run_to(targets_of_run, Settings(), Console(file=printed, width=200), mode="verify")
    carry_out(lambda: verify_command.verify(run, wanted, expected) and None, run)
    return report_of(run), printed.getvalue()


def test_a_release_holds(verify: Verifier) -> None:
    options = ("--repository", REPOSITORY, "--workflow", "release.yml", "--environment", "pypi")
    assert verify("sample==1.0", *options) == 0, verify.out
    for name in (WHEEL, SDIST):
        (row,) = (line for line in verify.out.splitlines() if name in line)
        assert "✓ valid" in row
        assert "publish" in row
        assert "#" in row
    assert "2 of 2 files are valid, for the expected publisher" in verify.out
    assert not verify.err


def test_without_expectations_the_table_says_who_published(verify: Verifier) -> None:
    assert verify("Sample", index=("--repository-url", verify.stage.world.upload_url)) == 0
    assert REPOSITORY in verify.out
    assert "for the publisher named in the table" in verify.out


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--repository", "octo-org/other", f"repository {REPOSITORY}, not octo-org/other"),
        ("--workflow", "other.yml", "workflow release.yml, not other.yml"),
        ("--environment", "staging", "environment pypi, not staging"),
    ],
)
def test_another_publisher_than_expected_is_told(
    verify: Verifier, option: str, value: str, why: str
) -> None:
    assert verify("sample", option, value) == 1
    assert why in " ".join(verify.out.split())
    assert "0 of 2 files are valid" in verify.out


@pytest.mark.parametrize(
    ("job", "claims", "expectations"),
    [
        (
            GITLAB,
            {"project_path": "octo-group/deeper/sample-project", "environment": "release"}
            | {
                "ci_config_ref_uri": "gitlab.com/octo-group/deeper/sample-project//ci/release.yml"
                "@refs/tags/v1.0.0"
            },
            (
                {
                    "--repository": "octo-group/deeper/sample-project",
                    "--workflow": "ci/release.yml",
                    "--environment": "release",
                },
                {
                    "--repository": "octo-group/sample-project",
                    "--workflow": "release.yml",
                    "--environment": "pypi",
                    "--email": "release@example.org",
                },
            ),
        ),
        (
            GOOGLE,
            {"email": "release@example.org"},
            (
                {"--email": "release@example.org"},
                {"--email": "other@example.org", "--repository": REPOSITORY},
            ),
        ),
    ],
)
def test_publishers_elsewhere_than_on_github(
    dist: Path,
    capsys: pytest.CaptureFixture,
    job: Job,
    claims: dict[str, str],
    expectations: tuple[dict[str, str], dict[str, str]],
) -> None:
    right, wrong = expectations
    told = job.claims({}, claims)
    with World(claims=told, registry=Registry.open(), job=job, issuer_key=issuer_key()) as world:
        stage = Stage(world, dist)
        assert stage.run().result == "done", stage.printed
        verify = Verifier(stage, dist.parent, capsys)
        assert verify("sample", *(word for pair in right.items() for word in pair)) == 0, verify.out
        for option, value in wrong.items():
            assert verify("sample", option, value) == 1
            assert f"{option[2:]} {right.get(option, 'none')}, not {value}" in " ".join(
                verify.out.split()
            )
        assert verify("sample", "--pylock") == 0
        (entry,) = tomllib.loads(f"[[packages]]\n{verify.out}")["packages"]
        assert job.provider == entry["attestation-identities"][0]["kind"]


def test_spellings_that_mean_the_same_are_the_same(verify: Verifier) -> None:
    options = ("--repository", "Octo-Org/Sample-Project", "--environment", "PyPI")
    assert verify("sample", *options, "--workflow", ".github/workflows/release.yml") == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--environment", ""), "--environment is empty"),
        (("--index-url", "https://user:secret@example.org/simple/"), "contains credentials"),
    ],
)
def test_options_that_mean_nothing_are_wrong_usage(
    options: tuple[str, ...], why: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", "sample", *options])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert why in told
    assert "secret" not in told


def test_a_file_holds_as_it_is_and_not_when_changed(verify: Verifier, tmp_path: Path) -> None:
    wheel = verify.stage.folder / WHEEL
    assert verify(wheel, verify.stage.folder / SDIST, "--repository", REPOSITORY) == 0, verify.out
    changed = tmp_path / WHEEL
    changed.write_bytes(wheel.read_bytes() + b"x")
    assert verify(changed, "--repository", REPOSITORY) == 1
    said = " ".join(verify.out.split())
    for content in (wheel.read_bytes(), changed.read_bytes()):
        assert hashlib.sha256(content).hexdigest() in said


def test_a_file_the_index_does_not_have_is_told(verify: Verifier, tmp_path: Path) -> None:
    assert verify(make_wheel(tmp_path, tag="py3-none-win32")) == 1
    assert "serves no file of this name" in verify.out
    assert verify(make_wheel(tmp_path, name="unknown")) == 1


@pytest.mark.parametrize("target", ["unknown", "sample==3.0"])
def test_a_release_the_index_does_not_have_is_told(verify: Verifier, target: str) -> None:
    assert verify(target) == 1
    assert "has no such release" in verify.out
    assert "Traceback" not in verify.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-1.0.tar.gz",),
        ("folder/sample",),
        ("sample>=1.0",),
        ("sample==1.*",),
        ("sample[extra]==1.0",),
        ("sa mple",),
        ("sample", "--index-url", "https://example.org/"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", *arguments])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_named_unlike_a_distribution_is_told(verify: Verifier, tmp_path: Path) -> None:
    path = tmp_path / "sample.whl"
    path.write_bytes(b"")
    assert verify(path) == 1
    assert "not the name of a distribution" in verify.out


def test_a_file_without_attestations_does_not_hold(dist: Path) -> None:
    with staged(dist) as stage:
        stage.run(attestations="false")
        report, printed = told(stage, "sample")
        assert report.result is Result.REFUSED
        assert printed.count("It has no attestations") == 2


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("simple=digest", "lists sha256"),
        ("file=html", "lists sha256"),
        ("file=404", "answered 404"),
        ("file=reset", "was lost in the middle"),
        ("integrity=provenance", "is not valid"),
        ("integrity=404", "lists a provenance, but does not serve it"),
        ("integrity=garbage", "provenance cannot be used"),
    ],
)
def test_what_an_index_gets_wrong_is_told(published: Stage, fault: str, why: str) -> None:
    published.fault(fault)
    try:
        report, printed = told(published, "sample")
    finally:
        published.world.faults.clear()
    assert report.result is Result.REFUSED
    assert why in " ".join(printed.split())
    assert not report.problems, "the table tells it of each file"


def test_what_passes_is_tried_again(published: Stage) -> None:
    for fault in ("simple=503*1", "file=503*1", "integrity=502*1"):
        published.fault(fault)
    report, printed = told(published, "sample")
    assert report.result is Result.DONE, printed


def test_an_index_out_of_order_is_told(published: Stage) -> None:
    published.fault("simple=500")
    try:
        report, _ = told(published, "sample")
    finally:
        published.world.faults.clear()
    assert report.result is Result.FAILED
    assert "500" in problem(report)


@contextlib.contextmanager
def naming(stage: Stage, **publisher: str | None) -> Iterator[str]:
    """Raise an index that serves the same as a world's, but names another publisher."""

    def app(environ: dict, start_response: object) -> object:
        request = Request(environ)
        if request.path == "/simple/sample/":
            files = list(stage.served().values())
            for file in files:
                file["provenance"] = f"/provenance/{file['filename']}"
            return Response(json.dumps({"files": files}))(environ, start_response)
        name = request.path.rpartition("/")[2]
        served = requests.get(stage.served()[name]["provenance"], timeout=10).json()
        served["attestation_bundles"][0]["publisher"].update(publisher)
        return Response(json.dumps(served))(environ, start_response)

    server = Server(app)
    server.start()
    yield f"{server.url}/legacy/"
    server.stop()


def test_a_publisher_that_did_not_sign_is_told(published: Stage) -> None:
    with naming(published, repository="octo-org/other") as url:
        report, printed = told(
            published, "sample", expected=Expected("octo-org/other"), upload_url=url
        )
    assert report.result is Result.REFUSED
    assert printed.count("An attestation is not valid") == 2


@pytest.mark.parametrize("named", [None, "staging"])
def test_the_environment_in_the_certificate_counts_more_than_the_index_s_word(
    published: Stage, named: str | None
) -> None:
    with naming(published, environment=named) as url:
        for wanted, result in (("pypi", Result.DONE), ("staging", Result.REFUSED)):
            expected = Expected(environment=wanted)
            report, printed = told(published, "sample", expected=expected, upload_url=url)
            assert report.result is result, printed


def publish_by(stage: Stage, path: Path, workflow: str) -> None:
    """Publish a file in the name of another workflow."""
    ref = f"{HERE}/{workflow}@{stage.world.claims['ref']}"
    client = client_of(stage.world)
    signed = attestation(stage.world, path, workflow_ref=ref, job_workflow_ref=ref)
    token = client.token(workflow_ref=ref, job_workflow_ref=ref)
    sent = f"[{signed.model_dump_json()}]"
    answer = client.upload(path, token, attestations=sent)
    assert answer.status_code == 200, answer.text


def test_a_release_by_another_publisher_than_before_is_told(dist: Path, tmp_path: Path) -> None:
    with staged(dist) as stage:
        stage.run()
        _, printed = told(stage, "sample==1.0")
        assert "there is no earlier release to compare with" in printed
        publish_by(stage, make_wheel(tmp_path, version="1.1"), "release.yml")
        publish_by(stage, make_wheel(tmp_path, version="2.0rc1"), "release.yml")
        publish_by(stage, make_wheel(tmp_path, version="2.0"), "other.yml")

        report, printed = told(stage, "sample==1.1")
        assert report.result is Result.DONE
        assert "the source is that of 1.0" in printed

        report, printed = told(stage, "sample")
        assert report.result is Result.DONE, "the publisher is not known to be wrong"
        assert "sample-2.0-py3-none-any.whl" in printed
        assert "The publisher has changed: 2.0rc1 is by" in printed
        assert "release.yml" in printed
        assert "other.yml" in printed


def test_the_latest_release_is_no_pre_release_if_it_can_be(dist: Path, tmp_path: Path) -> None:
    with staged(dist) as stage:
        publish_by(stage, make_wheel(tmp_path, version="2.0rc1"), "release.yml")
        assert "sample-2.0rc1" in told(stage, "sample")[1]
        stage.run()
        _, printed = told(stage, "sample")
        assert WHEEL in printed
        assert "sample-2.0rc1" not in printed


def test_pylock_entries_are_toml_and_nothing_else(verify: Verifier) -> None:
    assert verify("sample", verify.stage.folder / WHEEL, "--pylock") == 0
    assert tomllib.loads(verify.out) == {
        "packages": {
            "attestation-identities": 2
            * [
                {
                    "kind": "GitHub",
                    "repository": REPOSITORY,
                    "workflow": "release.yml",
                    "environment": "pypi",
                }
            ]
        }
    }
    assert "# sample 1.0\n" in verify.out
    assert "files are valid" in verify.err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_entries_that_are_lost_are_no_success(published: Stage, tmp_path: Path) -> None:
    config = tmp_path / "trust_config.json"
    config.write_text(published.world.trust_config)
    asked = [
        *(sys.executable, "-m", "attested_publish", "verify", "sample", "--pylock"),
        *("--index-url", published.world.index_url, "--sigstore-trust-config", str(config)),
    ]
    for redirected, status in ((">/dev/full", 1), (">&-", 1), ("2>&-", 0), ("2>/dev/full", 0)):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirected}', "sh", *asked],
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done
        assert done.stdout.startswith("# sample 1.0\n" if status == 0 else "")
        assert "verification" not in done.stdout


def test_what_does_not_hold_has_no_pylock_entry(verify: Verifier) -> None:
    assert verify("sample", "--repository", "octo-org/other", "--pylock") == 1
    assert not verify.out


@pytest.fixture
def big() -> Iterator[str]:
    """A server that never ends a file, and is in no hurry."""

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            time.sleep(0.05)
            yield b"x" * 1024

    def app(environ: dict, start_response: object) -> object:
        return Response(endless())(environ, start_response)

    server = Server(app)
    server.start()
    yield f"{server.url}/simple/sample/"
    server.stop()


@pytest.mark.parametrize(
    ("size", "limits", "why"),
    [
        (0, Limits(size=4000), "more than 4000 bytes"),
        (5000, Limits(), "more than 5000 bytes"),
        (5000, Limits(size=4000), "the limit for downloads is 4000"),
        (0, Limits(seconds=0.2), "not downloaded after 0 seconds"),
    ],
)
def test_a_download_has_bounds(big: str, size: int, limits: Limits, why: str) -> None:
    file = IndexFile(filename=WHEEL, sha256=None, url="../x.whl", provenance_url=None, size=size)
    started = time.monotonic()
    with requests.Session() as session, pytest.raises(NotFetched, match=why):
        sha256_of(file, big, session, limits)
    assert time.monotonic() - started < 5, "it does not wait for a full chunk"


def test_addresses_are_those_of_the_page_and_nobody_can_change_the_answer() -> None:
    page = "https://example.org/simple/sample/"
    assert address("../../files/a.whl", page) == "https://example.org/files/a.whl"
    here = "http://127.0.0.1:2/simple/sample/"
    assert address("http://127.0.0.1:1/a", here) == "http://127.0.0.1:1/a"
    for bad in (
        "http://example.org/a",
        "http://127.0.0.1:1/a",
        "https://127.0.0.1/a",
        "file:///etc/passwd",
        "https://[/",
    ):
        with pytest.raises(NotFetched):
            address(bad, page)


def test_the_command_explains_itself(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        cli.main(["verify", "--help"])
    said = capsys.readouterr().out
    for word in ("PROJECT[==VERSION]", "--repository", "--pylock", "exit status", "example"):
        assert word in said


def test_text_of_an_index_cannot_break_the_lock_file() -> None:
    text = verify_command._toml_string('a"\n[x]\x7f\x1b\\')
    assert tomllib.loads(f"a = {text}")["a"].startswith('a" [x]')
    assert json.loads(text)
