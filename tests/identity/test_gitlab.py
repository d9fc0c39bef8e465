"""A job of GitLab CI/CD: whole publishes, what it is told, and the files that are for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from pypi_attestations import GitLabPublisher

from attested_publish.identity.gitlab import GitLabIdentity
from attested_publish.identity.tokens import AmbientIdentity, detect, understand
from attested_publish.index.api_token import Exchange, NoSecondToken, TrustedCredentials
from attested_publish.index.discovery import usual_exchange
from attested_publish.index.index import Dialect, Index
from attested_publish.journey import publish
from attested_publish.journey.attestation_plan import advice, refuse_hopeless
from attested_publish.net.http import new_session
from attested_publish.net.unreachable import never_sent
from attested_publish.problems import IdentityProblem
from attested_publish.rehearsal.jobs.gitlab import job_claims
from attested_publish.rehearsal.jobs.pretended import GITHUB, GITLAB, GOOGLE, job_here
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import SETTINGS, Mode
from support.environment import without_a_job
from support.gitlab import PROJECT, ROW, component, header_and_body
from support.keys import issuer_key
from support.paths import ROOT
from support.provenance import verified
from support.releases import SHORT, Stage, deadlines, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypi_attestations import Provenance

pytestmark = pytest.mark.sample(3)


JOB = {"project_path": PROJECT, "environment": "release"}


@contextlib.contextmanager
def gitlab(
    dist: Path, registry: Registry | None = None, claims: dict[str, str] | None = None, **more: Any
) -> Iterator[Stage]:
    told = job_claims({}, JOB if claims is None else claims)
    with World(
        claims=told,
        registry=registry or Registry.open(),
        job=GITLAB,
        issuer_key=issuer_key(),
        **more,
    ) as world:
        yield Stage(world, dist)


@pytest.fixture
def stage(dist: Path) -> Iterator[Stage]:
    with gitlab(dist) as stage:
        yield stage


def registry(**changes: str) -> Registry:
    row = {**ROW, "projects": ["sample"], **changes}
    return Registry.parse(json.dumps({"publishers": [row]}))


def command(
    stage: Stage, *arguments: str, without: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the command as a GitLab job does: its variables, its folder."""
    config = stage.folder.parent / "trust_config.json"
    config.write_text(stage.world.trust_config)
    job = {**without_a_job(), **stage.world.environment, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [
            *(sys.executable, "-m", "attested_publish", *arguments),
            *("--repository-url", stage.world.upload_url, "--sigstore-trust-config", config),
            *("--report", stage.folder.parent / "report.json"),
        ],
        env={name: value for name, value in job.items() if name not in without},
        cwd=stage.folder.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def provenance(stage: Stage) -> dict[str, Provenance]:
    """Fetch what the index serves, and verify it with PyPI's own policy for GitLab."""
    root = stage.folder.parent / "trusted_root.json"
    root.write_text(stage.world.trusted_root)
    return verified(stage.served().values(), root)


def test_a_whole_publish(dist: Path) -> None:
    with gitlab(dist, registry()) as stage:
        done = command(stage, "publish")
        assert done.returncode == 0, done.stdout + done.stderr
        served = provenance(stage)
        assert served.keys() == {"sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz"}
        for each in served.values():
            assert each.attestation_bundles[0].publisher == GitLabPublisher(
                repository=PROJECT, workflow_filepath=".gitlab-ci.yml", environment="release"
            )
        report = json.loads((dist.parent / "report.json").read_text())
        assert report["identity"] == {
            "issuer": "https://gitlab.com",
            "repository": PROJECT,
            "owner": "octo-group/deeper",
            "owner_id": stage.world.claims["namespace_id"],
            "workflow": ".gitlab-ci.yml",
            "workflow_ref": f"gitlab.com/{PROJECT}//.gitlab-ci.yml@refs/tags/v1.0.0",
            "environment": "release",
            "ref": "refs/tags/v1.0.0",
            "sha": stage.world.claims["sha"],
            "event": "push",
            "visibility": "public",
        }
        assert {file["attestation"]["identity"] for file in report["files"]} == {
            f"https://gitlab.com/{PROJECT}//.gitlab-ci.yml@refs/tags/v1.0.0"
        }
        assert all(token.is_revoked for token in stage.world.index.issued_tokens)
        assert "eyJ" not in done.stdout + done.stderr + json.dumps(report)


def test_a_second_job_finds_it_done(stage: Stage) -> None:
    assert stage.run().result == "done"
    report = stage.run()
    assert report.result == "done"
    assert {file.status.value for file in report.files.values()} == {"already-there"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"namespace": "octo-group"}, "Namespace: octo-group/deeper"),
        ({"repo": "other"}, "Project name: sample-project"),
        ({"workflow_filepath": "ci/release.yml"}, "Top-level pipeline file path: .gitlab-ci.yml"),
        ({"environment": "Release"}, "Environment name: release"),
    ],
)
def test_a_publisher_that_differs_is_told_with_the_fields_to_enter(
    dist: Path, changes: dict[str, str], field: str
) -> None:
    with gitlab(dist, registry(**changes)) as stage:
        told = problem(stage.run())
        assert field in told
        assert "invalid-publisher" in told
        assert "provider=gitlab&namespace=octo-group%2Fdeeper&project=sample-project" in told
        assert "workflow_filepath=.gitlab-ci.yml" in told
        assert not stage.served()


def test_a_pending_publisher_creates_its_project(dist: Path) -> None:
    rows = {"pending_publishers": [{**ROW, "project": "sample"}]}
    with gitlab(dist, Registry.parse(json.dumps(rows))) as stage:
        assert stage.run().result == "done", stage.printed
        assert len(provenance(stage)) == 2


def test_the_row_with_the_environment_comes_first(dist: Path) -> None:
    anywhere = {**ROW, "environment": "", "projects": ["other"]}
    rows = {"publishers": [anywhere, {**ROW, "projects": ["sample"]}]}
    with gitlab(dist, Registry.parse(json.dumps(rows))) as stage:
        assert stage.run().result == "done", stage.printed


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"ref_path": "refs/heads/main"}, "ci_config_ref_uri"),
        ({"sub": "project_path:octo-group/other:ref_type:tag:ref:v1.0.0"}, "'sub'"),
        ({"sha": ""}, "'sha'"),
    ],
)
def test_the_index_refuses_claims_that_do_not_agree(
    dist: Path, claims: dict[str, str], reason: str
) -> None:
    consistent = job_claims({}, JOB)
    with gitlab(dist, registry(), {**consistent, **claims}) as stage:
        answer = requests.post(
            f"{stage.world.index_url.removesuffix('simple/')}_/oidc/mint-token",
            json={"token": stage.world.environment["PYPI_ID_TOKEN"]},
            timeout=10,
        )
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["code"] == "invalid-publisher"
        assert reason in error["description"]


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("variable", "options"), [("SIGSTORE_ID_TOKEN", ()), ("PYPI_ID_TOKEN", ("--confirm", "false"))]
)
def test_a_missing_token_is_told_with_the_lines_to_add(
    stage: Stage, variable: str, options: tuple[str, ...]
) -> None:
    started = time.monotonic()
    done = command(stage, "publish", *options, without=(variable,))
    assert done.returncode == 1
    assert f"      {variable}:" in done.stdout
    assert f"aud: {variable.partition('_')[0].lower()}" in done.stdout
    assert not stage.served()
    assert time.monotonic() - started < 10, "a variable that is not set is not waited for"


def test_a_token_for_somebody_else_is_not_sent(stage: Stage) -> None:
    wrong = stage.world.issuer.issue("https://vault.example.org")
    environment = {**stage.world.environment, "PYPI_ID_TOKEN": wrong}
    world = _Fixed(stage.world, environment)
    told = problem(Stage(world, stage.folder).run())
    assert "for another audience" in told
    assert "vault.example.org" in told
    assert not stage.world.index.issued_tokens


def test_without_attestations_no_token_for_sigstore_is_needed(stage: Stage) -> None:
    done = command(stage, "publish", "--attestations", "false", without=("SIGSTORE_ID_TOKEN",))
    assert done.returncode == 0, done.stdout
    assert {file["provenance"] for file in stage.served().values()} == {None}


class _Fixed:
    """A world whose job has variables that do not change from run to run."""

    def __init__(self, world: World, environment: dict[str, str]) -> None:
        self._world = world
        self.environment = environment
        self.ambient = partial(detect, environment=environment)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


def test_a_check_spends_the_token_of_its_job(stage: Stage) -> None:
    """Why docs/gitlab.md checks in one job and publishes in another."""
    stage.world.index.add_project("sample")
    job = Stage(_Fixed(stage.world, stage.world.environment), stage.folder)
    assert job.run(publish.check).result == "done"
    told = problem(job.run())
    assert "invalid-reuse-token" in told
    assert "check in the same job" in told
    assert "Run the job again" in told
    assert stage.run().result == "done", "another job has its own token"


def test_an_exchange_that_fails_is_tried_again_with_the_same_token(stage: Stage) -> None:
    stage.fault("mint=503*2")
    assert stage.run().result == "done", stage.printed
    assert len(stage.world.index.issued_tokens) == 1


@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_an_answer_that_was_lost_after_the_index_took_the_token(stage: Stage, kind: str) -> None:
    stage.fault(f"mint={kind}*1")
    variables = _Fixed(stage.world, stage.world.environment)
    report = Stage(variables, stage.folder).run()
    told = problem(report)
    assert report.result == "failed", "the index has refused nothing"
    assert "answer of 127.0.0.1" in told
    assert "was lost" in told
    assert "Run the job again" in told
    assert "A check in the same job" not in told
    assert stage.run().result == "done", "another job has its own token"


@pytest.mark.parametrize("kind", ["refuse*2", "503*2", "html*1", "hang:1*1"])
def test_what_has_not_spent_the_token_is_tried_again_with_it(stage: Stage, kind: str) -> None:
    stage.fault(f"mint={kind}")
    job = Stage(_Fixed(stage.world, stage.world.environment), stage.folder)
    job.deadlines = deadlines(5.0)
    assert job.run().result == "done", job.printed
    assert len(stage.world.index.issued_tokens) == 1


def test_a_request_that_was_never_sent() -> None:
    """What has no connection spends nothing; what broke off may have."""
    import socket

    with socket.socket() as bound, new_session(read=0.3) as session:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(requests.ConnectionError) as refused:
            session.post(address)
        assert never_sent(refused.value)
        with pytest.raises(requests.ConnectionError) as unknown:
            session.post("http://nobody.invalid/")
        assert never_sent(unknown.value)
        bound.listen()
        with pytest.raises(requests.RequestException) as silent:
            session.post(address)
        assert not never_sent(silent.value)


def test_tokens_without_an_id_are_taken_more_than_once(dist: Path) -> None:
    """Google's machines give the same one for an hour, and PyPI takes it for each renewal."""
    claims = GOOGLE.claims({}, {})
    with World(
        claims=claims, registry=Registry.open(), job=GOOGLE, issuer_key=issuer_key()
    ) as world:
        same = world.ambient("pypi")
        ambient = AmbientIdentity(lambda _: same, SHORT.identity, lambda _: None, lambda _: None)
        with new_session() as session:
            index = Index.at(world.upload_url)
            exchange = Exchange(
                index=index,
                addresses=usual_exchange(index),
                ambient=ambient,
                identity=understand(same),
                projects={},
                session=session,
                deadlines=SHORT,
                mask=lambda _: None,
                tell=lambda _: None,
            )
            tokens: list[Any] = []
            exchange.mint("pypi", tokens.append)
            exchange.mint("pypi", tokens.append)
        assert len({token.value for token in tokens}) == 2


def test_an_api_token_that_ends_cannot_be_renewed(dist: Path) -> None:
    latency = {"upload": 2.7}
    with gitlab(dist, token_lifetime=2.5, latency=latency) as stage:
        stage.deadlines = deadlines(5.0, answer=5.0)
        report = stage.run()
        assert report.result == "failed"
        told = problem(report)
        assert "accepts this job's identity token only once" in told
        assert "Run the job again" in told
        assert len(stage.world.index.issued_tokens) == 1
        latency.clear()
        assert stage.run().result == "done", "the next job finishes what is missing"


def test_an_api_token_that_cannot_be_renewed_is_used_to_its_end(stage: Stage) -> None:
    variables = stage.world.environment
    ambient = AmbientIdentity(
        lambda audience: variables[f"{audience.upper()}_ID_TOKEN"],
        SHORT.identity,
        lambda _: None,
        lambda _: None,
    )
    with new_session() as session:
        index = Index.at(stage.world.upload_url, Dialect.PYPI)
        exchange = Exchange(
            index=index,
            addresses=usual_exchange(index),
            ambient=ambient,
            identity=understand(ambient.token("pypi")),
            projects={},
            session=session,
            deadlines=SHORT,
            mask=lambda _: None,
            tell=lambda _: None,
        )
        credentials = TrustedCredentials(exchange, "pypi")
        first = credentials.password
        (token,) = credentials._tokens
        token.minted, token.expires = time.monotonic() - 800, time.monotonic() + 60
        assert not token.is_good_for_now(time.monotonic())
        assert credentials.password == first
        token.expires = time.monotonic() - 1
        with pytest.raises(NoSecondToken):
            _ = credentials.password


def test_a_certificate_for_another_project_stops_the_release(stage: Stage) -> None:
    stage.fault("certificate=repository")
    report = stage.run()
    assert report.problems[0].stage == "verification"
    assert not stage.served()


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({**JOB}, []),
        ({"project_path": PROJECT}, ["no environment"]),
        ({**JOB, "ref": "main", "ref_type": "branch"}, ["not from a tag"]),
    ],
)
def test_advice(claims: dict[str, str], words: list[str]) -> None:
    told = advice(GitLabIdentity.of(job_claims({}, claims)))
    assert len(told) == len(words)
    for text, word in zip(told, words, strict=True):
        assert word in text


def test_a_pipeline_that_is_written_down_elsewhere_is_told() -> None:
    with pytest.raises(IdentityProblem, match="not defined in this project"):
        GitLabIdentity.of({**job_claims({}, JOB), "ci_config_ref_uri": None})
    elsewhere = f"gitlab.com/octo-group/shared//release.yml@{job_claims({}, JOB)['ref_path']}"
    identity = GitLabIdentity.of({**job_claims({}, JOB), "ci_config_ref_uri": elsewhere})
    with pytest.raises(IdentityProblem, match="another project's pipeline"):
        refuse_hopeless(identity, Index.at("https://upload.pypi.org/legacy/"))


@pytest.mark.parametrize(
    ("file", "ref"),
    [(".gitlab-ci.yml", "v1"), ("ci/a/release.yaml", "v1"), ("x.yml", "odd@x.yml"), (".yml", "v1")],
)
def test_the_path_of_the_configuration_file(file: str, ref: str) -> None:
    told = job_claims({"CI_CONFIG_PATH": file}, {"project_path": "a/b", "ref": ref})
    if file == ".yml":
        with pytest.raises(IdentityProblem, match="does not name"):
            GitLabIdentity.of(told)
    else:
        assert GitLabIdentity.of(told).publisher.config_file == file


def test_a_private_project_writes_nothing_into_the_public_log() -> None:
    for visibility in ("private", "internal"):
        claims = job_claims({}, {**JOB, "project_visibility": visibility})
        assert "not public" in GitLabIdentity.of(claims).why_hidden
    assert not GitLabIdentity.of(job_claims({}, JOB)).why_hidden


def test_claims_follow_the_variables_of_a_real_job() -> None:
    here = {
        "CI_PROJECT_PATH": "us/ours",
        "CI_PROJECT_ID": "1",
        "CI_PROJECT_NAMESPACE_ID": "2",
        "CI_CONFIG_PATH": "ci/main.yml",
        "CI_COMMIT_REF_NAME": "main",
        "CI_COMMIT_SHA": "3" * 40,
        "CI_ENVIRONMENT_NAME": "release",
    }
    claims = job_claims(here, {})
    assert claims["sub"] == "project_path:us/ours:ref_type:branch:ref:main"
    assert claims["ci_config_ref_uri"] == "gitlab.com/us/ours//ci/main.yml@refs/heads/main"
    assert (claims["project_id"], claims["namespace_id"], claims["sha"]) == ("1", "2", "3" * 40)
    assert claims["environment"] == "release"
    assert job_claims(here, {"project_path": "you/yours"})["project_id"] != "1"
    assert job_claims({**here, "CI_COMMIT_TAG": "v2"}, {})["ref_type"] == "tag"


def rehearse(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attested_publish", "rehearse", *options],
        env={**without_a_job(), **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_which_job_is_pretended() -> None:
    assert job_here({"GITLAB_CI": "true"}) is GITLAB
    assert job_here({"GITHUB_ACTIONS": "true", "GITLAB_CI": "true"}) is GITHUB
    assert job_here({}) is GITHUB


@pytest.mark.slow
def test_a_rehearsal_of_gitlab_elsewhere(dist: Path) -> None:
    done = rehearse(str(dist), "--job", "gitlab", GITHUB_ACTIONS="true", CI_PROJECT_PATH="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GitLab's identity provider" in done.stdout
    assert "octo-group/sample-project, .gitlab-ci.yml" in done.stdout


def lint(tmp_path: Path, *texts: str) -> None:
    """Hold texts to GitLab's schema of its configuration files."""
    names = []
    for number, text in enumerate(texts):
        names.append(tmp_path / f"{number}.yml")
        names[-1].write_text(text, encoding="utf-8")
    program = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [program, "--builtin-schema", "vendor.gitlab-ci", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_component_and_the_page_are_in_order(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "gitlab.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml gitlab\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == page.count("```yaml") == 3
    header, _ = header_and_body()
    lint(tmp_path, header, component(image="example.com/image").text, *blocks)


def test_the_inputs_of_the_component_are_settings() -> None:
    made = component(image="example.com/image")
    known = {setting.name: setting for setting in SETTINGS}
    page = (ROOT / "docs" / "gitlab.md").read_text(encoding="utf-8")
    for name, rule in made.inputs.items():
        assert f"`{name}`" in page
        if name in known:
            # Locks are verified with the command.
            choices = [each for each in known[name].choices if each != Mode.VERIFY]
            assert rule.get("options", []) == choices
            assert f"--{name} " in made.script or name == "mode"
            if name != "attestations-dir":
                assert rule["default"] == known[name].default
        else:
            assert name in {"image", "job-name", "stage", "environment"}
    job = made.job
    _, body = header_and_body()
    assert "[[" not in body.partition("  script:")[2].partition("  artifacts:")[0]
    assert all(
        isinstance(value, str) or value["expand"] is False for value in job["variables"].values()
    )
    assert job["id_tokens"] == {
        "PYPI_ID_TOKEN": {"aud": "pypi"},
        "TESTPYPI_ID_TOKEN": {"aud": "testpypi"},
        "SIGSTORE_ID_TOKEN": {"aud": "sigstore"},
    }


@pytest.mark.skipif(sys.platform == "win32", reason="GitLab's jobs run in a shell")
def test_the_script_of_the_component_publishes(dist: Path) -> None:
    config = dist.parent / "it's $HOME a config.json"
    with gitlab(dist, registry()) as stage:
        config.write_text(stage.world.trust_config)
        made = component(
            image="example.com/image",
            repository_url=stage.world.upload_url,
            sigstore_trust_config=config.name,
        )
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-eu", "-c", made.script],
            env={**stage.world.environment, **made.variables, "PATH": programs},
            cwd=dist.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(provenance(stage)) == 2
        for path in made.job["artifacts"]["paths"]:
            assert (dist.parent / path).exists()
        assert len(list((dist.parent / "attestations").iterdir())) == 2


def test_each_kind_of_job_is_told_apart() -> None:
    for job, kind in ((GITHUB, "GitHubIdentity"), (GITLAB, "GitLabIdentity")):
        claims = {**job.claims({}, {}), "iss": job.issuer, "aud": "pypi"}
        token = jwt.encode(claims, "not a secret, and long enough to be a key", "HS256")
        assert type(understand(token)).__name__ == kind
