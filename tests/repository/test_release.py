"""What a release does besides publishing: its checks, its commit and tag, its files."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import github_api
import pytest
from changelog import sections
from github_api import GitHubError, Repository
from release_ready import wrong_in_the_files, wrong_in_the_repository
from ruamel.yaml import YAML
from source_date import source_date
from tag_release import tag
from werkzeug.wrappers import Response

from support.checkout import digests, names_of_files
from support.environment import without_a_job
from support.github import REPOSITORY, TOKEN, GitHub, protected
from support.paths import ROOT
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = dt.date(2030, 5, 6)
LOG = """# Changes

## Unreleased

## 1.2.3 - 2030-05-06

### Added

- Something.

## 1.2.2 - 2030-01-01

- Something else.
"""


def project(folder: Path, *, version: str = "1.2.3", module: str = "", log: str = LOG) -> Path:
    package = folder / "src" / "attested_publish"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (package / "__init__.py").write_text(f'__version__ = "{module or version}"\n')
    (folder / "CHANGELOG.md").write_text(log)
    return folder


def test_version_package_and_changelog_that_agree(tmp_path: Path) -> None:
    assert list(wrong_in_the_files("1.2.3", project(tmp_path), TODAY)) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"version": "1.2.4", "module": "1.2.3"}, "pyproject.toml has the version 1.2.4."),
        ({"module": "1.2.4"}, "The package has another __version__."),
        (
            {"log": LOG.replace("Unreleased\n", "Unreleased\n\nMore\n")},
            "has changes under Unreleased",
        ),
        ({"log": LOG.replace("1.2.3 -", "1.2.4 -")}, "no section `## 1.2.3 - DATE` above all"),
        ({"log": LOG.replace("1.2.3 - 2030-05-06", "1.2.3")}, "no date for 1.2.3"),
        ({"log": LOG.replace("05-06", "05-07")}, "a date in the future for 1.2.3: 2030-05-07"),
        ({"log": LOG.replace("05-06", "05-32")}, "a heading with a wrong date"),
        ({"log": LOG.replace("### Added\n\n- Something.\n", "")}, "says nothing of 1.2.3"),
        ({"log": ""}, "no section"),
    ],
)
def test_what_does_not_agree_stops_a_release(
    tmp_path: Path, changed: dict[str, str], says: str
) -> None:
    (only,) = wrong_in_the_files("1.2.3", project(tmp_path, **changed), TODAY)
    assert says in only


@pytest.mark.parametrize(
    "version", ["1.2", "v1.2.3", "1.02.3", "1.2.3.dev1", "1.2.3+local", "", "\u0661.2.3"]
)
def test_what_is_no_full_version_is_not_released(tmp_path: Path, version: str) -> None:
    folder = project(tmp_path, log=LOG.replace("1.2.3", version))
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    first, *_ = wrong_in_the_files(version, folder, TODAY)
    assert "is not a full version" in first


def test_our_own_changelog_can_be_read() -> None:
    found = sections((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert found
    assert len({section.version for section in found}) == len(found)


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """A repository that is set up as docs/releasing.md says, and a job on its default branch."""
    folder = tmp_path / "repository"
    folder.mkdir()
    github = GitHub(folder, {name: protected("main") for name in ("release", "pypi")})
    github.git("init", "--quiet", "--initial-branch=main")
    (folder / "README.md").write_text("us\n")
    github.git("add", ".")
    github.git("commit", "--quiet", "--message=All")
    head = github.git("rev-parse", "HEAD")
    github.passed.add(head)
    with serving(github) as server:
        for name, value in {
            "GITHUB_API_URL": server.url.rstrip("/"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_PROTECTED": "true",
            "GITHUB_SHA": head,
            "GH_TOKEN": TOKEN,
            "IMAGE": "registry.example.com/attested-publish/attested-publish",
        }.items():
            monkeypatch.setenv(name, value)
        yield github


def wrong() -> list[str]:
    return list(wrong_in_the_repository("1.2.3", Repository()))


def test_a_repository_that_is_protected(github: GitHub) -> None:
    assert wrong() == []


def _no_reviewers(github: GitHub) -> None:
    github.environments["pypi"]["protection_rules"] = [{"type": "branch_policy"}]


def _nobody_among_the_reviewers(github: GitHub) -> None:
    github.environments["pypi"]["protection_rules"][0]["reviewers"] = []


def _any_branch(github: GitHub) -> None:
    github.environments["release"]["deployment_branch_policy"] = None


def _protected_branches_only(github: GitHub) -> None:
    github.environments["pypi"]["deployment_branch_policy"] = {
        "protected_branches": True,
        "custom_branch_policies": False,
    }


def _no_branch(github: GitHub) -> None:
    github.environments["pypi"]["branch_policies"].clear()


def _self_review(github: GitHub) -> None:
    github.environments["pypi"]["protection_rules"][0]["prevent_self_review"] = False


def _administrators_bypass_it(github: GitHub) -> None:
    github.environments["pypi"]["can_admins_bypass"] = True


def _another_branch(github: GitHub) -> None:
    github.environments["release"] = protected("main", "release/*")


def _a_tag_of_that_name(github: GitHub) -> None:
    github.environments["release"]["branch_policies"].append({"name": "main", "type": "tag"})


def _nothing_said_of_administrators(github: GitHub) -> None:
    del github.environments["pypi"]["can_admins_bypass"]


def _no_environment(github: GitHub) -> None:
    del github.environments["release"]


def _no_ci(github: GitHub) -> None:
    github.passed.clear()


def _ci_for_a_pull_request(github: GitHub) -> None:
    github.passed_for_pull_requests = set(github.passed)
    github.passed.clear()


def _a_tag(github: GitHub) -> None:
    github.git("tag", "v1.2.3")


def _main_has_moved(github: GitHub) -> None:
    github.git("commit", "--quiet", "--allow-empty", "--message=More")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_no_reviewers, "The environment pypi has no required reviewers."),
        (_nobody_among_the_reviewers, "The environment pypi has no required reviewers."),
        (_self_review, "The environment pypi lets people approve what they started"),
        (_administrators_bypass_it, "The environment pypi lets administrators bypass"),
        (_nothing_said_of_administrators, "The environment pypi lets administrators bypass"),
        (_protected_branches_only, "The environment pypi is for protected branches: select main"),
        (_no_branch, "The environment pypi is not open to main."),
        (_any_branch, "Any branch may use the environment release: allow main only."),
        (_another_branch, "The environment release is open to more than main: release/*."),
        (_a_tag_of_that_name, "The environment release is open to more than main: main."),
        (_no_environment, "There is no environment release."),
        (_no_ci, "ci.yml has not passed for "),
        (_ci_for_a_pull_request, "ci.yml has not passed for "),
        (_a_tag, "There is a tag v1.2.3 already: release the next version."),
        (_main_has_moved, "main has moved since"),
    ],
)
def test_a_repository_that_is_not(github: GitHub, change: object, says: str) -> None:
    assert callable(change)
    change(github)
    (only,) = wrong()
    assert says in only


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"GITHUB_REF": "refs/heads/else"}, "runs on refs/heads/else; releases are made from main"),
        ({"GITHUB_REF": "refs/tags/main"}, "runs on refs/tags/main"),
        ({"GITHUB_REF_PROTECTED": "false"}, "The branch main is not protected."),
        ({"GITHUB_REF_PROTECTED": ""}, "The branch main is not protected."),
        ({"IMAGE": ""}, "The variable IMAGE of the repository is not REGISTRY/OWNER/NAME"),
        ({"IMAGE": "registry.example.com/Us/image"}, "The variable IMAGE"),
        ({"IMAGE": "registry.example.com/us/image:1"}, "The variable IMAGE"),
    ],
)
def test_a_job_elsewhere(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (only,) = wrong()
    assert says in only


def test_the_command_lists_everything_that_is_wrong(github: GitHub) -> None:
    _no_environment(github)
    _no_ci(github)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "release_ready.py", "99.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    for says in ("pyproject.toml has", "no section", "no environment release", "has not passed"):
        assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_that_github_refuses_is_no_traceback(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", "of-somebody")
    for tool in ("release_ready.py", "tag_release.py"):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / tool, "1.2.3"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        said = "GitHub refused GET .* with status 401: Bad credentials.\n"
        assert re.search(said, done.stderr)
        assert "Traceback" not in done.stderr
        assert "of-somebody" not in done.stderr


LIMITED = "Its rate limit is used up: start the job again"


@pytest.mark.parametrize(
    ("refusal", "body", "says"),
    [
        (
            (403, {}),
            '{"message": "Resource not accessible by integration", "status": "403"}',
            "Resource not accessible by integration.",
        ),
        ((403, {"X-RateLimit-Remaining": "3"}), '{"message": null}', "FORBIDDEN."),
        (
            (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1900000000"}),
            '{"message": "API rate limit exceeded."}',
            f"API rate limit exceeded. {LIMITED} after 2030-03-17 17:46 UTC.",
        ),
        ((429, {"Retry-After": "60"}), "{}", f"TOO MANY REQUESTS. {LIMITED} in 60 seconds."),
        ((429, {"Retry-After": "soon"}), "[]", f"TOO MANY REQUESTS. {LIMITED} later."),
        (
            (422, {}),
            '{"message": "Validation Failed", "errors": [{"code": "missing"}, "No tree.", {}]}',
            "Validation Failed: missing: No tree.",
        ),
        ((502, {}), f"<html>{'x' * 100_000}", "BAD GATEWAY. Start the job again."),
        (
            (404, {}),
            json.dumps({"message": "No\n::error::such\u001b[31m thing" + "g" * 1000}),
            f"No ::error::such?[31m thing{'g' * 273}….",
        ),
    ],
)
def test_what_github_refuses_is_one_short_line(
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[int, dict[str, str]],
    body: str,
    says: str,
) -> None:
    status, headers = refusal
    with serving(Response(body, status, headers)) as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url.rstrip("/"))
        with pytest.raises(GitHubError) as refused:
            Repository().get("x")
    assert str(refused.value) == f"GitHub refused GET x with status {status}: {says}"
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("body", "says"),
    [("<html>", "is not JSON. Start the job again."), ("[]", "is not a JSON object.")],
)
def test_an_answer_that_is_not_from_github_is_one_short_line(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, body: str, says: str
) -> None:
    with serving(Response(body)) as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url.rstrip("/"))
        with pytest.raises(GitHubError) as wrong:
            Repository().get("x")
    assert str(wrong.value) == f"GitHub's answer to GET x {says}"


def test_the_token_does_not_follow_a_redirect(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def elsewhere(environ: Any, start_response: Any) -> Any:
        asked.append(environ["HTTP_AUTHORIZATION"])
        return Response("{}")(environ, start_response)

    with (
        serving(elsewhere) as other,
        serving(Response('{"message": "Moved"}', 301, {"Location": other.url})) as server,
    ):
        monkeypatch.setenv("GITHUB_API_URL", server.url.rstrip("/"))
        with pytest.raises(GitHubError, match=r"refused GET x with status 301: Moved\."):
            Repository().get("x")
    assert asked == []


def test_no_answer_of_github_is_one_short_line(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        b"": "did not answer GET x: Remote end closed connection without response",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{": "'s answer to GET x is not JSON",
        b"nonsense\r\n\r\n": "did not answer GET x: nonsense",
    }
    for answer, says in answers.items():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            host, port = listening.getsockname()
            monkeypatch.setenv("GITHUB_API_URL", f"http://{host}:{port}")
            thread = threading.Thread(target=_answer_once, args=(listening, answer))
            thread.start()
            with pytest.raises(GitHubError, match=re.escape(says)) as unanswered:
                Repository().get("x")
            thread.join()
        assert str(unanswered.value).endswith(" Start the job again.")
    # Nobody listens there any more.
    with pytest.raises(GitHubError, match=r"did not answer GET x: .*refused"):
        Repository().get("x")
    monkeypatch.setattr(github_api, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        monkeypatch.setenv("GITHUB_API_URL", f"http://{host}:{port}")
        with pytest.raises(GitHubError, match=r"did not answer GET x: timed out\. Start"):
            Repository().get("x")


def _answer_once(listening: socket.socket, answer: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(answer)


@pytest.mark.parametrize("version", ["1 2", "1/../../x", "1?x=1#y"])
def test_what_is_no_version_is_no_path_either(github: GitHub, version: str) -> None:
    assert list(wrong_in_the_repository(version, Repository())) == []


IMAGES = {
    "image.txt": f"registry.example.com/us/image@sha256:{'1' * 64}\n",
    "image-shell.txt": f"registry.example.com/us/image@sha256:{'2' * 64}\n",
}


def test_the_tagged_commit_is_the_released_one_with_the_images(github: GitHub) -> None:
    head = os.environ["GITHUB_SHA"]
    commit = tag("1.2.3", IMAGES, Repository())
    assert github.git("rev-parse", "v1.2.3") == commit
    assert github.git("rev-parse", "v1.2.3^") == head
    changed = github.git("diff", "--name-status", head, commit).splitlines()
    assert changed == ["A\timage-shell.txt", "A\timage.txt"]
    for name, content in IMAGES.items():
        assert github.git("show", f"{commit}:{name}") == content.strip()
    # The branch never names an image.
    assert github.git("rev-parse", "main") == head


def test_run_again_it_finds_its_tag(github: GitHub) -> None:
    commit = tag("1.2.3", IMAGES, Repository())
    assert tag("1.2.3", IMAGES, Repository()) == commit


@pytest.mark.parametrize("difference", ["images", "parent"])
def test_a_tag_never_moves(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, difference: str
) -> None:
    commit = tag("1.2.3", IMAGES, Repository())
    images = IMAGES
    if difference == "images":
        images = {name: text.replace("1", "3") for name, text in IMAGES.items()}
    else:
        _main_has_moved(github)
        monkeypatch.setenv("GITHUB_SHA", github.git("rev-parse", "main"))
    with pytest.raises(ValueError, match=r"v1\.2\.3 is another commit .* A tag never moves"):
        tag("1.2.3", images, Repository())
    assert github.git("rev-parse", "v1.2.3") == commit


@pytest.mark.parametrize("somebody", ["unsigned", "other message", "annotated"])
def test_a_tag_that_somebody_has_made_is_not_taken_for_the_release(
    github: GitHub, somebody: str
) -> None:
    made = tag("1.2.3", IMAGES, Repository())
    parent, message = f"{made}^", "Release 1.2.3"
    # It would be the same commit if made within the same second.
    github.signed.clear()
    if somebody == "annotated":
        github.git("tag", "--force", "--annotate", "--message=Mine", "v1.2.3", made)
    else:
        if somebody == "other message":
            message = "Mine"
        theirs = github.git("commit-tree", f"{made}^{{tree}}", "-p", parent, "-m", message)
        github.git("tag", "--force", "v1.2.3", theirs)
        if somebody == "other message":
            github.signed.add(theirs)
    with pytest.raises(ValueError, match=r"v1\.2\.3 is another commit .* A tag never moves"):
        tag("1.2.3", IMAGES, Repository())


def test_a_commit_that_github_does_not_sign_is_not_tagged(github: GitHub) -> None:
    github.signs = False
    with pytest.raises(ValueError, match="did not sign the commit: unsigned"):
        tag("1.2.3", IMAGES, Repository())
    assert github.git("tag") == ""


def test_only_a_missing_thing_counts_as_missing(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Repository().find("git/ref/tags/v9") is None
    monkeypatch.setenv("GH_TOKEN", "")
    with pytest.raises(GitHubError):
        Repository().find("git/ref/tags/v9")


JOBS = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]


needs_bash = pytest.mark.skipif(
    sys.platform == "win32", reason="bash may be that of another system there"
)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the job runs on Linux")


def script(job: str, step: str) -> str:
    """The commands of a step."""
    (found,) = (each["run"] for each in JOBS[job]["steps"] if each.get("name") == step)
    return found


def bash(commands: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of a step as GitHub's runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", commands],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_bash
@pytest.mark.parametrize("is_wrong", [False, True])
def test_the_name_of_the_image_is_read_once_and_passed_on_if_all_is_well(
    tmp_path: Path, *, is_wrong: bool
) -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert len(re.findall(r"\bvars\b", text.partition("\njobs:\n")[2])) == 1
    for name, job in JOBS.items():
        if "needs.ready." in str(job):
            assert "ready" in job["needs"], name
        if any("$IMAGE" in step.get("run", "") for step in job["steps"]) and name != "ready":
            assert job["env"] == {"IMAGE": "${{ needs.ready.outputs.image }}"}, name
    assert JOBS["ready"]["outputs"] == {"image": "${{ steps.ready.outputs.image }}"}
    (step,) = (each for each in JOBS["ready"]["steps"] if each.get("id") == "ready")
    assert step["env"]["IMAGE"] == "${{ vars.IMAGE }}"
    (tmp_path / "tools").mkdir()
    checks = f"import sys\nassert sys.argv[1:] == ['1.2.3']\nsys.exit({int(is_wrong)})\n"
    (tmp_path / "tools" / "release_ready.py").write_text(checks)
    output = tmp_path / "output"
    image = "registry.example.com/us/image"
    # Every runner has a `python3`; a machine with one of several Pythons need not.
    (tmp_path / "python3").symlink_to(sys.executable)
    variables = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(output),
    }
    done = bash(step["run"], tmp_path, VERSION="1.2.3", IMAGE=image, **variables)
    assert done.returncode == is_wrong, done.stderr
    assert (output.read_text() if output.exists() else "") == (
        "" if is_wrong else f"image={image}\n"
    )


FILES = [
    *("attested-publish.cdx.json", "attested-publish.txt", "notes.md"),
    *("attested_publish-1.2.3-py3-none-any.whl", "attested_publish-1.2.3.tar.gz"),
    *("program-amd64.cdx.json", "program-arm64.cdx.json"),
    *("shell-amd64.cdx.json", "shell-arm64.cdx.json"),
]


@on_linux
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("", ""),
        *((f"rm {name}", f"< {name}\n") for name in FILES),
        ("touch image.txt", "> image.txt\n"),
        ("touch .hidden", "> .hidden\n"),
        ("mkdir dist", "> dist\n"),
    ],
)
def test_a_release_has_all_its_files_and_no_others(tmp_path: Path, change: str, says: str) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    for name in FILES:
        (folder / name).touch()
    bash(change, folder)
    step = script("files", "Check that no file is missing, and none is there besides")
    done = bash(step, folder, VERSION="1.2.3")
    assert done.returncode == bool(says)
    assert done.stdout.partition("\n")[2] == says


RELEASED = {"release/image.txt": "image", "provenance/provenance.sigstore.json": "{}"}


def released(
    folder: Path, *, version: str = "1.2.3", immutable: str = "true", there: dict[str, str] | None
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the last step; return how it ended, and what it has asked GitHub's program to do.

    `there` are the files of a release that exists before.
    """
    assets = folder / "assets"
    created = "\n".join(
        f"sha256:{hashlib.sha256(text.encode()).hexdigest()} {Path(name).name}"
        for name, text in (RELEASED if there is None else there).items()
    )
    (folder / "created").write_text(created + "\n")
    if there is not None:
        shutil.copy(folder / "created", assets)
    # It may do whatever it is asked to: this writes down what that is, and answers.
    gh = folder / "gh"
    gh.write_text(
        '#!/bin/sh\necho "$@" >> "$ASKED"\ncase "$*" in\n'
        f'*" --silent") test -e {assets} ;;\n*" --jq .immutable") echo {immutable} ;;\n'
        f'*" --jq .assets"*) tac {assets} ;;\n*) cp {folder}/created {assets} ;;\nesac\n'
    )
    gh.chmod(0o755)
    for name, text in RELEASED.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    step = "Make the release, and check that it has these files and cannot be changed"
    done = bash(
        script("release", step),
        folder,
        PATH=f"{folder}:{os.environ['PATH']}",
        ASKED=str(folder / "asked"),
        VERSION=version,
        GITHUB_REPOSITORY=REPOSITORY,
    )
    return done, (folder / "asked").read_text().splitlines()


@on_linux
@pytest.mark.parametrize(
    ("version", "immutable", "is_prerelease", "ends"),
    [
        ("1.2.3", "true", "false", 0),
        ("1.2.3rc1", "true", "true", 0),
        ("1.2.3", "false", "false", 1),
        ("1.2.3", "null", "false", 1),
    ],
)
def test_only_a_final_version_becomes_the_latest_release_which_cannot_be_changed(
    tmp_path: Path, version: str, immutable: str, is_prerelease: str, ends: int
) -> None:
    done, asked = released(tmp_path, version=version, immutable=immutable, there=None)
    assert done.returncode == ends, done.stdout
    looked, created, *compared = asked
    where = f"api repos/{REPOSITORY}/releases/tags/v{version} "
    assert created.startswith(f"release create v{version} ")
    assert f" --prerelease={is_prerelease} " in created
    assert created.endswith(" release/image.txt provenance/provenance.sigstore.json")
    assert [each.startswith(where) for each in (looked, *compared)] == [True] * 3


@on_linux
@pytest.mark.parametrize(
    ("there", "ends"),
    [
        (RELEASED, 0),
        ({"image.txt": "image"}, 1),
        (RELEASED | {"more.txt": ""}, 1),
        (RELEASED | {"release/image.txt": "other"}, 1),
    ],
)
def test_a_release_that_is_there_already_is_compared(
    tmp_path: Path, there: dict[str, str], ends: int
) -> None:
    done, asked = released(tmp_path, there=there)
    assert done.returncode == ends, done.stdout
    assert not any(each.startswith("release create") for each in asked)
    assert ("does not have the files of this run" in done.stdout) == bool(ends)


@needs_bash
def test_a_release_without_images_to_verify_stops() -> None:
    arguments = (REPOSITORY, "refs/heads/main", "0" * 40)
    done = subprocess.run(
        ["bash", ROOT / "tools" / "verify_images.sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    # Where a language is set that is not installed, bash says that first.
    assert done.stderr.endswith("No image to verify.\n")


def _uses(job: str, action: str) -> list[dict[str, Any]]:
    steps = JOBS[job].get("steps", [])
    return [
        step for step in steps if step.get("uses", "").startswith(f"actions/{action}-artifact@")
    ]


def test_no_job_of_a_release_cancels_another() -> None:
    """GitHub may not count a cancelled job among the failed ones, which are started again."""
    matrices = [job["strategy"] for job in JOBS.values() if "strategy" in job]
    assert len(matrices) == 3
    assert all(each["fail-fast"] is False for each in matrices)
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "cancel-in-progress: false" in text


_PASSED_ON = re.compile(r"\$\{\{ needs\.([\w-]+)\.outputs\.([\w-]+) \|\| 'missing' \}\}")


def test_artifacts_are_passed_on_by_id() -> None:
    """By name, a job of the run that is taken over could replace what another one has made.

    Without an id, the download gets all artifacts: then it is `missing`, which it refuses.
    """
    made, taken = set(), set()
    for job, about in JOBS.items():
        for step in _uses(job, "upload"):
            name, id_ = step["with"]["name"], step["id"]
            if job == "sbom":
                name = "sbom-${{ matrix.target }}-${{ matrix.architecture }}"
                made |= {
                    (job, f"{target}-{architecture}")
                    for target in about["strategy"]["matrix"]["target"]
                    for architecture in about["strategy"]["matrix"]["architecture"]
                }
                (passed,) = (each for each in about["steps"] if each.get("id") == "passed-on")
                assert passed["env"] == {
                    "OUTPUT": "${{ matrix.target }}-${{ matrix.architecture }}",
                    "ARTIFACT": f"${{{{ steps.{id_}.outputs.artifact-id }}}}",
                }
                id_ = "passed-on"
            else:
                made.add((job, id_))
            assert step["with"] == {
                "name": name,
                "if-no-files-found": "error",
                "overwrite": True,
            } | {"path": step["with"]["path"]}
        for step in _uses(job, "download"):
            options = step["with"]
            assert options.keys() <= {"artifact-ids", "path", "merge-multiple"}, job
            ids = options["artifact-ids"]
            found = set(_PASSED_ON.findall(ids))
            if job == "attest":
                assert ids == "${{ steps.chosen.outputs.sbom || 'missing' }}"
                (chosen,) = (each for each in about["steps"] if each.get("id") == "chosen")
                assert chosen["env"]["SBOMS"] == "${{ toJSON(needs.sbom.outputs) }}"
                assert "sbom" in about["needs"]
            else:
                assert _PASSED_ON.sub("", ids).strip(", ") == "", job
                assert found, job
            # One artifact has its files in the folder itself; of several, each has a folder.
            assert ("merge-multiple" in options) == (len(found) > 1), job
            for maker, _ in found:
                assert maker in about["needs"]
            taken |= found
    assert taken == made
    for maker, name in made:
        expected = (
            f"steps.passed-on.outputs.{name}"
            if maker == "sbom"
            else f"steps.{name}.outputs.artifact-id"
        )
        assert JOBS[maker]["outputs"][name] == f"${{{{ {expected} }}}}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's files in another folder, with other times and modes, as in another clone."""
    folder = tmp_path_factory.mktemp("elsewhere") / "clone"
    for name in names_of_files():
        if not name.startswith(("tests/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
            os.utime(folder / name, (10**9, 10**9))
            (folder / name).chmod(0o600)
    return folder


def built(folder: Path, output: Path, **variables: str) -> dict[str, str]:
    """Build in a folder; return the SHA-256 of each file."""
    subprocess.run(
        [sys.executable, folder / "tools" / "build_distributions.py", output],
        cwd=output.parent,
        env=without_a_job() | variables,
        capture_output=True,
        check=True,
    )
    return digests(output)


def test_building_it_again_gives_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    first = built(ROOT, tmp_path / "first")
    assert len(first) == 2
    # Elsewhere, later, by somebody with other settings.
    other = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": "/"}
    other |= {"SOURCE_DATE_EPOCH": str(int(time.time()))}
    old_mask = os.umask(0o077)
    try:
        assert built(checkout, tmp_path / "second", **other) == first
    finally:
        os.umask(old_mask)


@pytest.mark.parametrize("before", [None, "7"])
def test_the_date_of_what_is_built_is_not_left_behind(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if before is not None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", before)

    def broken_build() -> None:
        with source_date(dt.date(1970, 1, 2)):
            raise ValueError(os.environ["SOURCE_DATE_EPOCH"])

    with pytest.raises(ValueError, match=r"\A86400\Z"):
        broken_build()
    assert os.environ.get("SOURCE_DATE_EPOCH") == before


def test_a_clone_has_the_same_bytes_where_git_writes_other_line_ends(
    github: GitHub, tmp_path: Path
) -> None:
    shutil.copyfile(ROOT / ".gitattributes", github.folder / ".gitattributes")
    github.git("add", ".")
    github.git("commit", "--quiet", "--message=Attributes")
    clone = tmp_path / "clone"
    github.git("clone", "--quiet", "--config=core.autocrlf=true", ".", str(clone))
    assert (clone / "README.md").read_bytes() == b"us\n"


def test_the_times_in_a_release_are_its_date_in_the_changelog(
    checkout: Path, tmp_path: Path
) -> None:
    log = checkout / "CHANGELOG.md"
    kept = log.read_text(encoding="utf-8")
    try:
        log.write_text(LOG, encoding="utf-8")
        built(checkout, tmp_path / "dist")
    finally:
        log.write_text(kept, encoding="utf-8")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2030, 5, 6, 0, 0, 0)}
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        midnight = dt.datetime(2030, 5, 6, tzinfo=dt.UTC).timestamp()
        # PKG-INFO, which the backend writes, has none.
        assert {entry.mtime for entry in archive} == {0, midnight}
