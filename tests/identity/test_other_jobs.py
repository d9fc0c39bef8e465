"""Jobs of CircleCI and machines of Google Cloud: whole publishes, and what they are told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from id import detect_credential
from pypi_attestations import Attestation, CircleCIPublisher, GooglePublisher
from ruamel.yaml import YAML
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier

from attested_publish.attestations.verify import policy_of
from attested_publish.fronts.cli import _parser, main
from attested_publish.identity.circleci import CircleCIIdentity
from attested_publish.identity.tokens import detect, understand
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.attestation_plan import advice, attestation_plan
from attested_publish.problems import IdentityProblem
from attested_publish.rehearsal.jobs import circleci, google
from attested_publish.rehearsal.jobs.pretended import CIRCLECI, GITHUB, GOOGLE, JOBS, Job, job_here
from attested_publish.rehearsal.json_file import JsonFileError
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import Attestations
from support.command import command_line
from support.environment import in_job, without_a_job
from support.keys import issuer_key
from support.paths import ROOT
from support.provenance import verified
from support.releases import Stage, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.sample(3)


needs_a_shell = pytest.mark.skipif(
    sys.platform == "win32", reason="the program `circleci` is a shell script"
)

IDS = circleci.job_claims({}, {})
PIPELINE = {
    "kind": "CircleCI",
    "circleci_org_id": IDS["oidc.circleci.com/org-id"],
    "circleci_project_id": IDS["oidc.circleci.com/project-id"],
    "pipeline_definition_id": IDS["oidc.circleci.com/pipeline-definition-id"],
}
ACCOUNT = {"kind": "Google", "email": google.job_claims({}, {})["email"]}
ANOTHER_ID = "00000000-0000-0000-0000-000000000000"


def registry(*rows: dict[str, str], project: str = "sample") -> Registry:
    """Let the first of `rows` publish the project, the others something else."""
    projects = [[project], *([f"other-{number}"] for number in range(len(rows) - 1))]
    entries = [{**row, "projects": names} for row, names in zip(rows, projects, strict=True)]
    return Registry.parse(json.dumps({"publishers": entries}))


@contextlib.contextmanager
def staged(
    dist: Path, job: Job, registry: Registry | None = None, **claims: str
) -> Iterator[Stage]:
    told = job.claims({}, claims)
    with World(
        claims=told, registry=registry or Registry.open(), job=job, issuer_key=issuer_key()
    ) as world:
        yield Stage(world, dist)


def mint(stage: Stage, token: str | None = None) -> requests.Response:
    url = f"{stage.world.index_url.removesuffix('simple/')}_/oidc/mint-token"
    asked = {"token": token or stage.world.issuer.issue("pypi")}
    return requests.post(url, json=asked, timeout=10)


def root_of(stage: Stage) -> Path:
    path = stage.folder.parent / "trusted_root.json"
    path.write_text(stage.world.trusted_root)
    return path


class TestCircleCI:
    @needs_a_shell
    def test_a_whole_publish(self, dist: Path) -> None:
        """As a job runs it: `id` finds the program, and asks it for tokens."""
        with staged(dist, CIRCLECI, registry(PIPELINE)) as stage:
            config, report = (dist.parent / name for name in ("config.json", "report.json"))
            config.write_text(stage.world.trust_config)
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "attested_publish", "publish"),
                    *("--repository-url", stage.world.upload_url, "--report", report),
                    *("--sigstore-trust-config", config),
                ],
                env={**without_a_job(), **stage.world.environment, "NO_PROXY": "127.0.0.1"},
                cwd=dist.parent,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "accepts no attestations from CircleCI" in done.stdout
            assert {name: file["provenance"] for name, file in stage.served().items()} == {
                "sample-1.0-py3-none-any.whl": None,
                "sample-1.0.tar.gz": None,
            }
            told = json.loads(report.read_text())
            assert told["identity"]["project_id"] == PIPELINE["circleci_project_id"]
            assert {file["attestation"] for file in told["files"]} == {None}
            assert all(token.is_revoked for token in stage.world.index.issued_tokens)
            assert "eyJ" not in done.stdout + done.stderr + json.dumps(told)

    @needs_a_shell
    def test_who_the_machine_is_does_not_matter(self, dist: Path) -> None:
        """Jobs may run on machines of Google Cloud: it is CircleCI that is asked, and it alone."""
        with staged(dist, CIRCLECI) as stage, in_job(stage.world.environment):
            os.environ["GOOGLE_SERVICE_ACCOUNT_NAME"] = "runner@example.org"
            assert understand(detect("pypi")).issuer == circleci.ISSUER

    @needs_a_shell
    @pytest.mark.parametrize(
        ("script", "why"),
        [
            ("", "no program `circleci`"),
            ("#!/nowhere", "could not be started"),
            ("#!/bin/sh\nprintf 'eyJ'\necho 'no rights' >&2\nexit 3", "said: no rights"),
            ("#!/bin/sh\n", "said: nothing"),
        ],
    )
    def test_a_program_that_gives_no_token_is_told(
        self, tmp_path: Path, script: str, why: str
    ) -> None:
        if script:
            (tmp_path / "circleci").write_text(script)
            (tmp_path / "circleci").chmod(0o700)
        job = {"CIRCLECI": "true", "PATH": str(tmp_path)}
        with in_job(job), pytest.raises(IdentityProblem) as caught:
            detect("pypi")
        assert why in caught.value.detail
        assert "eyJ" not in caught.value.detail

    @needs_a_shell
    def test_what_it_attests_verifies(self, dist: Path) -> None:
        with staged(dist, CIRCLECI) as stage:
            assert stage.run(publish.attest).result == "done", stage.printed
            verifier = Verifier(trusted_root=TrustedRoot.from_file(str(root_of(stage))))
            publisher = CircleCIPublisher(
                project_id=PIPELINE["circleci_project_id"],
                pipeline_definition_id=PIPELINE["pipeline_definition_id"],
                vcs_origin="github.com/octo-org/sample-project",
                vcs_ref="refs/tags/v1.0.0",
            )
            paths = sorted(dist.glob("*.attestation"))
            assert len(paths) == 2
            for path in paths:
                bundle = Attestation.model_validate_json(path.read_bytes()).to_bundle()
                verifier.verify_dsse(bundle, policy_of(publisher))

    @needs_a_shell
    def test_the_index_takes_no_attestations_all_the_same(self, dist: Path) -> None:
        """Should the rule be wrong one day: this is what the index says now."""
        with staged(dist, CIRCLECI) as stage:
            assert stage.run(publish.attest).result == "done"
            (wheel,) = dist.glob("*.whl")
            attestation = json.loads(
                wheel.with_name(f"{wheel.name}.publish.attestation").read_text()
            )
            answer = requests.post(
                stage.world.upload_url,
                auth=("__token__", mint(stage).json()["token"]),
                data={
                    ":action": "file_upload",
                    "protocol_version": "1",
                    "metadata_version": "2.1",
                    "name": "sample",
                    "version": "1.0",
                    "filetype": "bdist_wheel",
                    "pyversion": "py3",
                    "sha256_digest": stage.run(publish.check).files[wheel.name].sha256,
                    "attestations": json.dumps([attestation]),
                },
                files={"content": (wheel.name, wheel.read_bytes(), "application/octet-stream")},
                timeout=10,
            )
            assert answer.status_code == 400
            assert "not supported with CircleCI publishers" in answer.text
            assert stage.run().result == "done", "what lies there is not sent"
            assert {file["provenance"] for file in stage.served().values()} == {None}

    @pytest.mark.parametrize(
        "changes",
        [
            {"circleci_org_id": ANOTHER_ID},
            {"circleci_project_id": ANOTHER_ID},
            {"pipeline_definition_id": ANOTHER_ID},
            {"context_id": ANOTHER_ID},
        ],
    )
    @needs_a_shell
    def test_a_publisher_that_differs_is_told(self, dist: Path, changes: dict[str, str]) -> None:
        with staged(dist, CIRCLECI, registry({**PIPELINE, **changes})) as stage:
            told = problem(stage.run())
            assert f"Project ID: {PIPELINE['circleci_project_id']}" in told
            assert f"Context ID (if required): {IDS['oidc.circleci.com/context-ids']}" in told
            assert "VCS ref (if required): refs/tags/v1.0.0" in told
            assert "provider=circleci&circleci_org_id=" in told
            assert "Publisher with matching claims was not found" in told

    @pytest.mark.parametrize(
        ("row", "name"),
        [
            ({"vcs_ref": "refs/heads/main"}, "vcs-ref"),
            ({"vcs_origin": "github.com/octo-org/other"}, "vcs-origin"),
        ],
    )
    def test_what_else_a_row_wants_is_checked(
        self, dist: Path, row: dict[str, str], name: str
    ) -> None:
        with staged(dist, CIRCLECI, registry({**PIPELINE, **row})) as stage:
            answer = mint(stage)
            assert answer.status_code == 422
            assert f"optional claim 'oidc.circleci.com/{name}'" in answer.text

    def test_the_row_with_the_context_comes_first(self, dist: Path) -> None:
        narrow = {**PIPELINE, "context_id": IDS["oidc.circleci.com/context-ids"]}
        with staged(dist, CIRCLECI, registry(narrow, PIPELINE)) as stage:
            assert mint(stage).status_code == 200
            publishers = {token.publisher for token in stage.world.index.issued_tokens}
            assert {publisher.narrowing for publisher in publishers} == {narrow["context_id"]}

    @needs_a_shell
    def test_a_job_that_somebody_can_log_in_to_is_told_before_it_asks(self, dist: Path) -> None:
        with staged(dist, CIRCLECI, **{"oidc.circleci.com/ssh-rerun": "true"}) as stage:
            assert "ssh-rerun" in mint(stage).text
            told = problem(stage.run())
            assert "rerun with SSH" in told
            assert not stage.world.index.issued_tokens

    @pytest.mark.parametrize(
        ("ref", "told"), [("refs/tags/v1", []), ("refs/heads/main", ["not from a tag"]), ("", [])]
    )
    def test_advice(self, ref: str, told: list[str]) -> None:
        claims = {**circleci.job_claims({}, {}), "oidc.circleci.com/vcs-ref": ref}
        advised = advice(CircleCIIdentity.of(claims))
        assert [word in text for word, text in zip(told, advised, strict=True)] == [True] * len(
            told
        )

    def test_what_its_certificate_would_tell_is_not_known_to_be_public(self) -> None:
        identity = CircleCIIdentity.of(circleci.job_claims({}, {}))
        index = Index.at("https://packages.example.org/legacy/")
        plan = attestation_plan(Attestations.AUTO, identity, index, is_public_log=True)
        assert "does not say whether the repository is public" in plan.why_not

    def test_variables_of_a_real_job_are_its_claims(self) -> None:
        variables = {"CIRCLECI": "true", "CIRCLE_PROJECT_ID": ANOTHER_ID, "CIRCLE_BRANCH": "main"}
        assert job_here(variables) is CIRCLECI
        claims = circleci.job_claims(variables, {})
        assert claims["oidc.circleci.com/project-id"] == ANOTHER_ID
        assert claims["oidc.circleci.com/vcs-ref"] == "refs/heads/main"
        assert f"project/{ANOTHER_ID}/" in claims["sub"]
        assert circleci.job_environment(claims)["CIRCLE_BRANCH"] == "main"
        assert circleci.job_environment(circleci.job_claims({}, {}))["CIRCLE_TAG"] == "v1.0.0"

    @needs_a_shell
    def test_the_program_goes_with_the_world_and_does_no_more_than_it_says(self) -> None:
        told = circleci.job_claims({}, {})
        with World(
            claims=told, registry=Registry.open(), job=CIRCLECI, issuer_key=issuer_key()
        ) as world:
            with in_job(world.environment):
                assert detect_credential("anybody")
            folder = Path(world.environment["PATH"].partition(os.pathsep)[0])
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            get = ("run", "oidc", "get", "--claims")
            audience = '{"aud": "pypi"}'
            for arguments in (
                (),
                ("run", "release"),
                (*get, audience),
                (*get, "{}", "--root-issuer"),
                (*get, "7", "--root-issuer"),
                (*get, "{", "--root-issuer"),
            ):
                done = subprocess.run(
                    [folder / "circleci", *arguments], capture_output=True, check=False
                )
                assert done.returncode != 0
                assert not done.stdout
                assert b"Traceback" not in done.stderr
        assert not folder.exists()


class TestGoogle:
    def test_a_whole_publish(self, dist: Path) -> None:
        with staged(dist, GOOGLE, registry(ACCOUNT)) as stage:
            report = stage.run()
            assert report.result == "done", stage.printed
            assert "names this service account" in stage.printed
            served = verified(stage.served().values(), root_of(stage))
            assert len(served) == 2
            for each in served.values():
                publisher = each.attestation_bundles[0].publisher
                assert publisher == GooglePublisher(email=ACCOUNT["email"])
            identities = {file.attestations[0].identity for file in report.files.values()}
            assert identities == {ACCOUNT["email"]}
            assert all(token.is_revoked for token in stage.world.index.issued_tokens)

    def test_a_publisher_that_differs_is_told(self, dist: Path) -> None:
        with staged(dist, GOOGLE, registry({**ACCOUNT, "sub": "1"})) as stage:
            told = problem(stage.run())
            assert f"Email: {ACCOUNT['email']}" in told
            assert "provider=google&email=release%40" in told

    def test_the_row_with_the_number_comes_first(self, dist: Path) -> None:
        narrow = {**ACCOUNT, "sub": google.job_claims({}, {})["sub"]}
        with staged(dist, GOOGLE, registry(narrow, ACCOUNT)) as stage:
            assert stage.run().result == "done", stage.printed

    def test_an_address_that_was_not_verified_counts_for_nobody(self, dist: Path) -> None:
        with staged(dist, GOOGLE, registry(ACCOUNT), email_verified="false") as stage:
            assert "'email_verified'" in mint(stage).text
            told = problem(stage.run(publish.attest))
            assert "was verified" in told

    def test_a_machine_is_told_only_if_it_says_what_it_is(self, dist: Path) -> None:
        """What `id` asks a host of a fixed name, which is tried in tests/e2e."""
        with staged(dist, GOOGLE) as stage:
            issuer = json.loads(stage.world.trust_config)["signingConfig"]["oidcUrls"][0]["url"]
            url = f"{issuer}{google.METADATA}"
            headers = {"Metadata-Flavor": "Google"}
            answers = [
                requests.get(url, params=asked, headers=sent, timeout=5)
                for asked, sent in (
                    ({"audience": "pypi"}, headers),
                    ({"audience": "pypi"}, {}),
                    ({}, headers),
                )
            ]
            assert [answer.status_code for answer in answers] == [200, 403, 400]
            assert answers[0].text.startswith("eyJ")
        with staged(dist, GITHUB) as stage:
            issuer = json.loads(stage.world.trust_config)["signingConfig"]["oidcUrls"][0]["url"]
            url = f"{issuer}{google.METADATA}"
            assert requests.get(url, headers=headers, timeout=5).status_code == 404

    def test_the_account_of_the_machine_is_the_pretended_one(self) -> None:
        variables = {"GOOGLE_SERVICE_ACCOUNT_NAME": "us@example.org"}
        assert job_here(variables) is GOOGLE
        assert google.job_claims(variables, {})["email"] == "us@example.org"
        assert google.job_claims(variables, {"sub": "7"})["azp"] == "7"


@pytest.mark.slow
@pytest.mark.parametrize("job", [pytest.param(CIRCLECI, marks=needs_a_shell), GOOGLE])
def test_an_issuer_that_fails_is_asked_again_and_told_in_words(dist: Path, job: Job) -> None:
    with staged(dist, job) as stage:
        stage.fault("identity=503*2")
        assert stage.run(publish.attest).result == "done", stage.printed
        for fault, words in (("identity=503", "answers 503"), ("identity=refuse", "not answer")):
            stage.world.faults.clear()
            stage.fault(fault)
            told = problem(stage.run())
            assert "identity token could not be obtained" in told
            assert words in told


@pytest.mark.parametrize("command", ["rehearse", "services"])
def test_the_command_knows_every_kind_of_job(command: str, capsys: pytest.CaptureFixture) -> None:
    for name in JOBS:
        assert _parser().parse_args([command, "--job", name]).job == name
    with pytest.raises(SystemExit, match="2"):
        main([command, "--job", "jenkins"])
    told = capsys.readouterr().err
    assert all(name in told for name in JOBS)


def test_the_page_has_a_configuration_that_publishes() -> None:
    page = ROOT / "docs" / "circleci-and-google-cloud.md"
    (text,) = re.findall(
        r"^```yaml circleci\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    )
    written = YAML(typ="safe").load(text)
    build, publishes = written["jobs"]["build"], written["jobs"]["publish"]
    (kept,) = (
        step["persist_to_workspace"]["paths"] for step in build["steps"] if "persist" in str(step)
    )
    (command,) = (step["run"] for step in publishes["steps"] if "run" in step)
    program, *arguments = shlex.split(command)
    assert program == "attested-publish"
    assert [str(path) for path in _parser().parse_args(arguments).paths] == kept
    assert {name for job in written["workflows"]["release"]["jobs"] for name in job} == {
        "build",
        "publish",
    }


@pytest.mark.parametrize("job", [CIRCLECI, GOOGLE])
def test_a_token_without_an_id_may_be_exchanged_again(dist: Path, job: Job) -> None:
    with staged(dist, job) as stage:
        token = stage.world.issuer.issue("pypi")
        assert "jti" not in jwt.decode(token, options={"verify_signature": False})
        assert [mint(stage, token).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"kind": "Jenkins"}, "GitHub, GitLab, Google, CircleCI"),
        ({**ACCOUNT, "email": "nobody"}, "'email' of publishers[0]"),
        ({**ACCOUNT, "sub": 7}, "'sub' of publishers[0]"),
        ({**ACCOUNT, "environment": "x"}, "unknown key 'environment'"),
        ({**PIPELINE, "circleci_org_id": "octo-org"}, "'circleci_org_id' of publishers[0]"),
        ({**PIPELINE, "vcs_ref": " x"}, "'vcs_ref' of publishers[0]"),
        ({**PIPELINE, "context_id": "release"}, "'context_id' of publishers[0]"),
    ],
)
def test_a_row_that_cannot_be_is_refused_in_one_sentence(row: dict[str, Any], says: str) -> None:
    with pytest.raises(JsonFileError) as refusal:
        registry(row)
    assert says in str(refusal.value)
    assert str(refusal.value).endswith(".")


@needs_a_shell
@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_pretended_job_is_not_the_one_around_it(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE"):
        monkeypatch.setenv(name, "true")
    before = dict(os.environ)
    with World(
        claims=job.claims({}, {}), registry=Registry.open(), job=job, issuer_key=issuer_key()
    ) as world:
        assert understand(world.ambient("pypi")).issuer == job.issuer
    assert dict(os.environ) == before


@needs_a_shell
def test_a_temporary_folder_that_can_run_no_program_is_named(tmp_path: Path) -> None:
    mounted = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    mount = 'mount -t tmpfs -o noexec tmpfs "$TMPDIR"'
    environment = without_a_job() | {"TMPDIR": str(tmp_path), "CIRCLECI": "true"}
    try:
        subprocess.run([*mounted, mount], env=environment, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    done = subprocess.run(
        [*mounted, f'{mount}; exec "$@"', "sh", *command_line("rehearse")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"{tmp_path}: no program can be run from it" in done.stdout
    assert "TMPDIR" in done.stdout
