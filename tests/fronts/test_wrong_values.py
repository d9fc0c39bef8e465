"""Wrong values through the real command: each has its sentence, and all are told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from attested_publish.fronts.cli import PASSWORD_VARIABLE
from attested_publish.fronts.verify import read_repository
from attested_publish.settings import WrongUsage
from support.action import job, outputs, run_action
from support.command import command, fails
from support.makers import make_release, make_wheel

if TYPE_CHECKING:
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


def told(*arguments: str | Path, **environment: str) -> list[str]:
    """Return the sentences of a command that is used wrongly."""
    done = command(*arguments, **environment)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not done.stdout
    return [line.removeprefix("attested-publish: ") for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("me", "pypi-AgEI-geheim", ["user has to be __token__"]),
        ("__token__", '"pypi-AgEI-geheim"', ["quotes"]),
        ("__token__", "Bearer pypi-AgEI-geheim", ["before the token"]),
        ("__token__", "PASSWORD=pypi-AgEI-geheim", ["before the token"]),
        ("__token__", "password: pypi-AgEI-geheim", ["before the token"]),
        ("__token__", "${{ secrets.geheim }}", ["has not been evaluated"]),
        ("__token__", "geheim-geheim", ["does not begin with pypi-"]),
        ("__token__", " \n", ["consists of blanks"]),
        ("pypi-AgEI-geheim", "", ["user is an API token"]),
    ],
)
def test_credentials(user: str, password: str, words: list[str], tmp_path: Path) -> None:
    sentences = told("publish", tmp_path, "--user", user, **{PASSWORD_VARIABLE: password})
    assert [word in each for word, each in zip(words, sentences, strict=True)] == [True]
    assert "geheim" not in str(sentences)
    assert "***" not in str(sentences), "a sentence loses none of its own words"


@pytest.mark.slow
def test_a_user_without_a_password_never_publishes_as_the_job(stage: Stage) -> None:
    """The job has an identity, but somebody meant to give a password."""
    environment = job(stage.world, stage.folder, user="robot")
    done = run_action(environment)
    assert done.returncode == 1
    assert "A user is given, but no password" in done.stdout
    assert json.loads(outputs(environment)["files"])[0]["status"] == "not-attempted"
    assert requests.get(f"{stage.world.index_url}sample/", timeout=10).status_code == 404
    done = run_action({**environment, "INPUT_MODE": "check"})
    assert done.returncode == 0, "a pull request from a fork has no secrets, and may check"
    assert "not checked: A user is given, but no password" in done.stdout


def test_the_action_reports_every_wrong_input(stage: Stage) -> None:
    environment = job(
        *(stage.world, stage.folder),
        password="geheim-geheim",
        repository_url="https://pypi.org/legacy/",
        confirm="maybe",
    )
    done = run_action(environment)
    assert done.returncode == 2
    problem = json.loads(Path(outputs(environment)["report"]).read_text())["problems"][0]
    assert problem["title"] == "3 wrong inputs"
    assert "https://upload.pypi.org/legacy/" in problem["detail"]
    assert "geheim" not in done.stdout + json.dumps(problem)
    summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert "'<https://pypi.org/legacy/>'" in summary, "a link ends before the quotation mark"


def test_all_wrong_values_of_rehearse(tmp_path: Path) -> None:
    sentences = told(
        *("rehearse", "", "--registry", tmp_path / "gone.json", "--claim", "repository"),
        *("--claim", "=x", "--job", "jenkins", "--confirm", "perhaps", "--report", tmp_path),
        *("--repository-url", "https://pypi.org/simple/"),
    )
    assert len(sentences) == 8
    for words in (
        *("confirm is", "--registry", "'repository'", "'=x'", "'jenkins'; it must be github"),
        *("--report", "repository-url is", "PATH is empty"),
    ):
        assert len([each for each in sentences if words in each]) == 1, words


def test_all_wrong_values_of_services(tmp_path: Path) -> None:
    sentences = told(
        *("services", "--latency", "upload", "--latency", "lunch=1", "--latency", "index=-1"),
        *("--fault", "log=lazy", "--port", "many", "--job", "jenkins", "--claim", "x"),
        *("--registry", tmp_path / "gone.json"),
    )
    assert len(sentences) == 8
    for words in ("'upload'", "'lunch=1'", "'index=-1'", "lazy", "'many'", "'jenkins'", "'x'"):
        assert len([each for each in sentences if words in each]) == 1, words


def test_all_wrong_values_of_verify(tmp_path: Path) -> None:
    sentences = told(
        *("verify", tmp_path / "gone.whl", "a b", "sample>1", "--workflow", ""),
        *("--repository", "testpypi", "--index-url", "https://pypi.org/legacy/"),
    )
    assert len(sentences) == 6
    for words in ("gone.whl", "'a b'", "'sample>1'", "--workflow", "--repository is", "simple/"):
        assert len([each for each in sentences if words in each]) >= 1, words


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("octo-org/sample", None, "octo-org/sample"),
        ("group/sub/sample", None, "group/sub/sample"),
        ("https://github.com/octo-org/sample", "GitHub", "octo-org/sample"),
        ("https://github.com/octo-org/sample/", "GitHub", "octo-org/sample"),
        ("https://github.com/octo-org/sample.git", "GitHub", "octo-org/sample"),
        ("HTTPS://GitHub.com/octo-org/sample", "GitHub", "octo-org/sample"),
        ("https://www.github.com/octo-org/sample", "GitHub", "octo-org/sample"),
        ("git+https://github.com/octo-org/sample", "GitHub", "octo-org/sample"),
        ("ssh://git@github.com/octo-org/sample.git", "GitHub", "octo-org/sample"),
        ("git@github.com:octo-org/sample.git", "GitHub", "octo-org/sample"),
        ("https://me:geheim@github.com/octo-org/sample.git", "GitHub", "octo-org/sample"),
        (" octo-org/sample\n", None, "octo-org/sample"),
        ("github.com/octo-org/sample", "GitHub", "octo-org/sample"),
        ("https://gitlab.com/group/sub/sample", "GitLab", "group/sub/sample"),
    ],
)
def test_a_repository_may_be_an_address(text: str, kind: str | None, name: str) -> None:
    assert read_repository(text) == (kind, name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pypi", "--index-url"),
        ("testpypi", "--index-url"),
        ("https://pypi.org/simple/", "--index-url"),
        ("https://upload.pypi.org/legacy/", "--repository-url"),
        ("http://127.0.0.1:8080/simple/", "--index-url"),
        ("octo-org", "OWNER/NAME"),
        ("https://github.com/octo-org", "OWNER/NAME"),
        ("https://github.com/octo-org/sample/tree/main", "OWNER/NAME"),
        ("https://github.com/octo-org/sample?x=y", "OWNER/NAME"),
        ("https://github.com.evil.example/octo-org/sample", "OWNER/NAME"),
        ("https://evil.example/github.com/octo-org/sample", "OWNER/NAME"),
        ("https://github.com@evil.example/octo-org/sample", "OWNER/NAME"),
        ("https://me:geheim@evil.example/octo-org/sample", "OWNER/NAME"),
        ("https://gitlab.com/group/sample/-/tree/main", "OWNER/NAME"),
        ("https://git.example.org/octo-org/sample", "OWNER/NAME"),
        ("octo-org/sample/", "OWNER/NAME"),
        ("octo org/sample", "OWNER/NAME"),
    ],
)
def test_what_is_no_repository(text: str, words: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        read_repository(text)
    (sentence,) = caught.value.sentences
    assert words in sentence
    assert "geheim" not in sentence


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("repository", "status"),
    [
        ("https://github.com/octo-org/sample-project", 0),
        ("https://github.com/octo-org/another", 1),
        # The same name at another provider is somebody else's.
        ("https://gitlab.com/octo-org/sample-project", 1),
    ],
)
def test_verify_compares_with_the_address(stage: Stage, repository: str, status: int) -> None:
    assert stage.run().result == "done"
    config = stage.folder.parent / "trust_config.json"
    config.write_text(stage.world.trust_config)
    done = command(
        *("verify", "sample==1.0", "--repository", repository),
        *("--index-url", stage.world.index_url, "--sigstore-trust-config", config),
    )
    assert done.returncode == status, done.stdout + done.stderr


def test_two_versions_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    make_release(tmp_path / "dist")
    make_wheel(tmp_path / "dist", version="1.1")
    report = tmp_path / "report.json"
    options = ("check", tmp_path / "dist", "--offline", "--report", report)
    assert command(*options).returncode == 0
    found = [
        (finding["severity"], file["version"], finding["message"])
        for file in json.loads(report.read_text())["files"]
        for finding in file["findings"]
        if finding["rule"] == "two-versions"
    ]
    ((severity, version, message),) = found
    assert (severity, version) == ("warning", "1.0")
    assert "'1.0', '1.1'" in message
    fails(command(*options, "--verify-metadata", "strict"), report, "2 versions of 'sample'")


def test_patterns(tmp_path: Path) -> None:
    for folder, version in (("x", "1.0"), ("y", "1.0")):
        (tmp_path / "release" / folder).mkdir(parents=True)
        make_wheel(tmp_path / "release" / folder, name=f"sample{folder}", version=version)
    report = tmp_path / "report.json"
    given = f"{tmp_path}/release/*/\n{tmp_path}/release/*/*.whl"
    done = command("check", "--offline", "--packages-dir", given, "--report", report)
    assert done.returncode == 0, done.stdout
    assert len(json.loads(report.read_text())["files"]) == 2
    done = command("check", "--offline", f"{tmp_path}/release/x*/*.whl", "--report", report)
    assert done.returncode == 0, done.stdout
    assert len(json.loads(report.read_text())["files"]) == 1
    done = command("check", "--offline", f"{tmp_path}/gone/*", "--report", report)
    fails(done, report, "Nothing matches")
    done = command("check", "--offline", f"- {tmp_path}", "--report", report)
    fails(done, report, "item of a YAML list")
