"""Wrong, missing and hostile input: one clear problem, exit 1, no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from support.command import command, fails
from support.environment import without_a_job
from support.makers import make_release, make_wheel
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.sample(3)


needs_a_shell = pytest.mark.skipif(sys.platform == "win32", reason="pipes are others there")


def no_folder(folder: Path) -> Path:
    (folder / "build").mkdir()
    return folder / "dist"


def empty_folder(folder: Path) -> Path:
    (folder / "dist").mkdir()
    return folder / "dist"


def folder_of_other_files(folder: Path) -> Path:
    (folder / "notes.txt").write_text("no wheel")
    return folder


def text_file_named_like_a_wheel(folder: Path) -> Path:
    path = folder / "sample-1.0-py3-none-any.whl"
    path.write_text("I am no zip archive.")
    return path


def empty_file_named_like_a_wheel(folder: Path) -> Path:
    path = folder / "sample-1.0-py3-none-any.whl"
    path.touch()
    return path


def text_file_named_like_an_sdist(folder: Path) -> Path:
    path = folder / "sample-1.0.tar.gz"
    path.write_text("I am no tar archive.")
    return path


def folder_named_like_a_wheel(folder: Path) -> Path:
    (folder / "dist" / "sample-1.0-py3-none-any.whl").mkdir(parents=True)
    return folder / "dist"


def link_out_of_the_folder(folder: Path) -> Path:
    (folder / "dist").mkdir()
    secret = make_wheel(folder)
    (folder / "dist" / secret.name).symlink_to(secret)
    return folder / "dist"


def link_to_itself(folder: Path) -> Path:
    path = folder / "sample-1.0-py3-none-any.whl"
    path.symlink_to(path)
    return folder


def dangling_link(folder: Path) -> Path:
    (folder / "sample-1.0-py3-none-any.whl").symlink_to(folder / "gone")
    return folder


def same_name_twice(folder: Path) -> Path:
    for name in ("one", "two"):
        (folder / name).mkdir()
        make_wheel(folder / name, metadata={"Summary": name})
    return folder


def named_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "sample-1.0-py3-none-any.whl")
    return folder


def foreign_archive(folder: Path) -> Path:
    make_release(folder)
    (folder / "docs.tar.bz2").write_bytes(b"BZh9")
    return folder


def extension_in_capitals(folder: Path) -> Path:
    make_release(folder)
    make_wheel(folder, version="1.1").rename(folder / "sample-1.1-py3-none-any.WHL")
    return folder


def folder_elsewhere(folder: Path) -> Path:
    (folder / "dist").mkdir()
    make_release(folder / "dist")
    (folder / "secrets").mkdir()
    (folder / "dist" / "more").symlink_to(folder / "secrets")
    return folder / "dist"


def bad_filename(folder: Path) -> Path:
    make_wheel(folder).rename(folder / "sample.whl")
    return folder


def hostile_filename(folder: Path) -> Path:
    make_wheel(folder).rename(folder / "::add-mask::e\n::error::x\x1b[31m-1.0-py3-none-any.whl")
    return folder


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (no_folder, ["does not exist", "build/"]),
        (empty_folder, ["nothing to publish", "is empty"]),
        (folder_of_other_files, ["nothing to publish", "notes.txt"]),
        (text_file_named_like_a_wheel, ["sample-1.0-py3-none-any.whl"]),
        (empty_file_named_like_a_wheel, ["sample-1.0-py3-none-any.whl"]),
        (text_file_named_like_an_sdist, ["sample-1.0.tar.gz"]),
        (folder_named_like_a_wheel, ["sample-1.0-py3-none-any.whl", "a folder"]),
        (link_out_of_the_folder, ["sample-1.0-py3-none-any.whl", "outside"]),
        (link_to_itself, ["sample-1.0-py3-none-any.whl"]),
        (dangling_link, ["sample-1.0-py3-none-any.whl"]),
        (same_name_twice, ["sample-1.0-py3-none-any.whl", "2 times"]),
        (named_pipe, ["sample-1.0-py3-none-any.whl", "not a regular file"]),
        (foreign_archive, ["docs.tar.bz2"]),
        (extension_in_capitals, ["sample-1.1-py3-none-any.WHL", "lower case"]),
        (folder_elsewhere, ["more", "outside"]),
        (bad_filename, ["sample.whl"]),
        (hostile_filename, ["\\x1b"]),
    ],
)
def test_bad_files(prepare: Callable[[Path], Path], words: list[str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    (tmp_path / "given").mkdir()
    path = prepare(tmp_path / "given")
    done = command("publish", path, "--report", report)
    fails(done, report, *words)
    assert "\x1b" not in done.stdout
    assert not any(line.lstrip().startswith("::") for line in done.stdout.splitlines())


def test_unreadable_file(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    wheel.chmod(0)
    if os.access(wheel, os.R_OK):
        # root may read everything; what it may not is a folder that is a file.
        wheel = wheel / "below"
    report = tmp_path / "report.json"
    fails(command("publish", wheel, "--report", report), report, "sample-1.0-py3-none-any.whl")


def test_no_identity(tmp_path: Path) -> None:
    make_release(tmp_path)
    with serving(not_found) as server:
        report = tmp_path / "report.json"
        url = f"{server.url}/legacy/"
        done = command("publish", tmp_path, "--report", report, "--repository-url", url)
        fails(done, report, "id-token: write", "password")


def test_no_permission_for_an_identity(tmp_path: Path) -> None:
    make_release(tmp_path)
    report = tmp_path / "report.json"
    with serving(not_found) as server:
        url = f"{server.url}/legacy/"
        done = command(
            *("publish", tmp_path, "--report", report, "--repository-url", url),
            GITHUB_ACTIONS="true",
            GITHUB_EVENT_NAME="pull_request",
        )
        fails(done, report, "fork", "permissions:")


@pytest.mark.slow
def test_unreachable_index(tmp_path: Path) -> None:
    make_release(tmp_path)
    with serving(not_found) as server:
        gone = server.url
    report = tmp_path / "report.json"
    done = command("publish", tmp_path, "--report", report, "--repository-url", f"{gone}/legacy/")
    fails(done, report, "could not be reached", "connection was refused")


@pytest.mark.parametrize("mode", ["publish", "check"])
def test_index_that_answers_html(tmp_path: Path, mode: str) -> None:
    make_release(tmp_path)
    report = tmp_path / "report.json"
    with serving(html) as server:
        done = command(
            *(mode, tmp_path, "--report", report, "--repository-url", f"{server.url}/legacy/"),
            *("--attestations", "false"),
            **job(server.url),
        )
        problem = fails(done, report, "audience")
        assert "<h1>" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/legacy/", "unencrypted"),
        ("ftp://example.org/legacy/", "not an http"),
        ("pypi", "not an http"),
        ("https://user:geheim@example.org/legacy/", "credentials"),
        ("https://[::1/legacy/", "not a URL"),
        ("http://localhost.example.org/legacy/", "unencrypted"),
        ("https://pypi.org/simple/", "https://upload.pypi.org/legacy/ only"),
        ("https://test.pypi.org", "https://test.pypi.org/legacy/ only"),
        ("https://github.com/octo-org/sample", "no package index"),
        ("https://a:geheim@a.example/, https://b:geheim@b.example/", "a line of its own"),
        ('"https://upload.pypi.org/legacy/"', "quotes"),
    ],
)
def test_bad_addresses(tmp_path: Path, url: str, words: str) -> None:
    # Told before it is even looked whether there is anything to publish.
    done = command("publish", tmp_path / "gone", "--repository-url", url)
    assert done.returncode == 2
    assert words in done.stderr
    assert "geheim" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.sample(2)
@pytest.mark.parametrize("content", ["", "{}", "[]", "no JSON", '{"mediaType": "x"}'])
def test_bad_trust_config(tmp_path: Path, content: str) -> None:
    make_release(tmp_path)
    config = tmp_path / "config.txt"
    config.write_text(content)
    report = tmp_path / "report.json"
    with serving(github_only) as server:
        done = command(
            *("publish", tmp_path, "--report", report, "--sigstore-trust-config", config),
            *("--repository-url", f"{server.url}/legacy/"),
            **job(server.url),
        )
    fails(done, report, "trust configuration")


def trusted_root_alone(folder: Path) -> Path:
    path = folder / "config"
    root = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
    path.write_text(root)
    return path


def signing_config_alone(folder: Path) -> Path:
    path = folder / "config"
    path.write_text('{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}')
    return path


def empty_file(folder: Path) -> Path:
    (folder / "config").touch()
    return folder / "config"


def folder_as_config(folder: Path) -> Path:
    (folder / "config").mkdir()
    return folder / "config"


def file_of_a_gigabyte(folder: Path) -> Path:
    with (folder / "config").open("wb") as file:
        file.truncate(1 << 30)
    return folder / "config"


def not_utf_8(folder: Path) -> Path:
    (folder / "config").write_bytes(b'{"mediaType": "\xff"}')
    return folder / "config"


def rootless(folder: Path) -> Path:
    path = folder / "config"
    kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
    path.write_text(json.dumps({"mediaType": kind, "trustedRoot": {}, "signingConfig": {}}))
    return path


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (
            trusted_root_alone,
            ["it is a trusted root", "the signing configuration is missing", "jq"],
        ),
        (signing_config_alone, ["it is a signing configuration", "the trusted root is missing"]),
        (empty_file, ["it is empty"]),
        (folder_as_config, ["Is a directory"]),
        (file_of_a_gigabyte, ["more than 4 MiB"]),
        (not_utf_8, ["not text in UTF-8"]),
        (rootless, ["trust configuration cannot be used"]),
    ],
)
@pytest.mark.parametrize("mode", ["publish", "check"])
def test_trust_configs_that_are_none(
    prepare: Callable[[Path], Path], words: list[str], mode: str, tmp_path: Path
) -> None:
    """Told before anything is spent, by check too."""
    (tmp_path / "dist").mkdir()
    make_release(tmp_path / "dist")
    report = tmp_path / "report.json"
    asked: list[str] = []

    @Request.application
    def index(request: Request) -> Response:
        asked.append(request.path)
        return Response(status=404)

    with serving(index) as server:
        done = command(
            *(mode, tmp_path / "dist", "--report", report),
            *("--sigstore-trust-config", prepare(tmp_path)),
            *("--repository-url", f"{server.url}/legacy/"),
            **job(server.url),
        )
    fails(done, report, *words)
    assert not [path for path in asked if "mint" in path]


def test_all_settings_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    make_release(tmp_path)
    done = command(
        *("check", tmp_path, "--sigstore-trust-config", tmp_path / "none"),
        *("--repository-url", "pypi\nftp://example.org/\nhttp://example.org/"),
        *("--confirm", "perhaps"),
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    for words in ("'pypi'", "ftp://example.org/", "unencrypted", "No such file", "perhaps"):
        assert len([line for line in lines if words in line]) == 1


def test_missing_trust_config(tmp_path: Path) -> None:
    make_release(tmp_path)
    report = tmp_path / "report.json"
    done = command(
        "publish", tmp_path, "--report", report, "--sigstore-trust-config", tmp_path / "none"
    )
    fails(done, report, "none", "No such file")


def test_all_wrong_options_are_told_at_once(tmp_path: Path) -> None:
    done = command(
        *("publish", tmp_path, "--attestations", "maybe", "--parallel-uploads", "9" * 5000),
        *("--confirm", "perhaps", "--report", tmp_path),
    )
    assert done.returncode == 2
    for words in ("attestations is 'maybe'", "1 to 16", "confirm is 'perhaps'", "--report cannot"):
        assert words in done.stderr
    assert done.stderr.count("attested-publish: ") == 4


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_a_folder_named_twice_is_one(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    make_release(dist)
    (dist / "notes.txt").touch()
    (tmp_path / "link").symlink_to(dist)
    (dist / "docs.tar.bz2").touch()
    wheel = dist / "sample-1.0-py3-none-any.whl"
    every = (dist, dist, f"{dist}/", dist / ".." / "dist", tmp_path / "link", wheel, tmp_path)
    report = tmp_path / "report.json"
    problem = fails(command("check", "--offline", *every, "--report", report), report)
    assert problem["title"] == "1 file cannot be published", "a fault is told once, too"
    (dist / "docs.tar.bz2").unlink()
    done = command("check", "--offline", *every, "--report", report)
    assert done.returncode == 0, done.stdout
    assert len(json.loads(report.read_text())["files"]) == 2
    assert done.stdout.count("notes.txt is not a distribution") == 1


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["notes.txt"], "notes.txt is neither a wheel nor an sdist"),
        (["a.sha256", "b.txt"], "None of 2 files is a wheel or an sdist"),
    ],
)
def test_a_file_that_is_no_distribution(names: list[str], title: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    report = tmp_path / "report.json"
    paths = [tmp_path / name for name in names]
    problem = fails(command("check", "--offline", *paths, "--report", report), report, *names)
    assert problem["title"] == title


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["publish", "--attestations", "maybe"], "attestations is 'maybe'"),
        (["publish", "--parallel-uploads", "17"], "1 to 16"),
        (["publish", "--parallel-uploads", "many"], "1 to 16"),
        (["publish", "--unknown"], "unrecognized"),
        (["check", "a", "--offline", "b"], "b (write all paths next to each other)"),
        (["publish", "--skip-existng"], "(did you mean --skip-existing?)"),
        (["publish", "--unknown"], "See `attested-publish publish --help`."),
        (["publish", "--attestations", "maybe"], "must be auto, true or false."),
        (["rehearse", "--claim", "repository"], "NAME=VALUE"),
        (["rehearse", "--registry", "missing.json"], "missing.json"),
        (["services", "--latency", "upload"], "STAGE=SECONDS"),
        (["services", "--latency", "lunch=1"], "lunch"),
        (["services", "--fault", "log=lazy"], "lazy"),
        (["services", "--port", "70000"], "70000"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written_is_found_before_anything_is_done(tmp_path: Path) -> None:
    make_release(tmp_path)
    (tmp_path / "blocked").write_text("a file")
    (tmp_path / "folder").mkdir()
    for report in (tmp_path / "blocked" / "report.json", tmp_path / "folder"):
        done = command("check", tmp_path, "--offline", "--report", report)
        assert done.returncode == 2
        assert "--report cannot be written" in done.stderr
        assert not done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_links_in_a_circle_are_said_to_be_that(tmp_path: Path) -> None:
    make_release(tmp_path)
    circle = tmp_path / "circle.json"
    circle.symlink_to(circle)
    done = command("check", tmp_path, "--offline", "--report", circle)
    assert done.returncode == 2
    assert "--report cannot be written: Too many" in done.stderr
    done = command("convert", circle)
    assert done.returncode == 1
    assert "circle.json: It cannot be read" in done.stderr
    assert "re-run uploads" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_a_report_goes_to_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    make_release(tmp_path / "dist")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere" / "report.json")
    assert command("check", tmp_path / "dist", "--offline", "--report", link).returncode == 0
    assert link.is_symlink()
    assert json.loads((tmp_path / "elsewhere" / "report.json").read_text())["result"] == "done"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_run_does_not_depend_on_its_output(tmp_path: Path) -> None:
    make_release(tmp_path)
    checked = [sys.executable, "-m", "attested_publish", "check", tmp_path, "--offline"]
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(checked, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
        assert done.returncode == 0
        assert b"standard output cannot be written (No space left on device)" in done.stderr
        # What is asked for is the output, here: without it, nothing was done.
        done = subprocess.run(
            [*checked[:3], "convert", tmp_path / "x"], stdout=full, check=False, timeout=60
        )
        assert done.returncode == 1
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *map(str, checked)]
    done = subprocess.run(closed, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_half_a_report_is_not_left(tmp_path: Path) -> None:
    """As on a full disk; with a limit on files, the rest fails in the same way."""
    make_release(tmp_path / "dist")
    report = tmp_path / "report.json"
    report.write_text("of an earlier run")
    limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@"', "sh", sys.executable]
    options = ["-m", "attested_publish", "check", "dist", "--offline", "--report", report]
    done = subprocess.run(
        [*limited, *options], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert b"The report could not be written to" in done.stdout + done.stderr
    assert not report.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
def test_a_report_may_go_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    make_release(tmp_path / "dist")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        done = command("check", tmp_path / "dist", "--offline", "--report", pipe)
        assert done.returncode == 0
        assert json.loads(reader.stdout.read())["result"] == "done"


def test_a_report_beside_the_files_is_not_in_the_way(tmp_path: Path) -> None:
    make_release(tmp_path)
    report = tmp_path / "new" / ".." / "report.json"
    done = command("check", tmp_path, "--offline", "--report", report)
    assert done.returncode == 0
    assert "ignored" not in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["result"] == "done"


@needs_a_shell
def test_without_an_input_nobody_is_asked(tmp_path: Path) -> None:
    make_release(tmp_path)
    attest = [sys.executable, "-m", "attested_publish", "attest", tmp_path]
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *map(str, attest)]
    done = subprocess.run(
        closed, env=without_a_job(), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "There is no identity to publish with" in done.stdout
    assert "at a terminal, where you are asked to sign in" in done.stdout


@needs_a_shell
def test_whoever_reads_may_leave(tmp_path: Path) -> None:
    make_release(tmp_path)
    command = [sys.executable, "-m", "attested_publish", "check", tmp_path, "--offline"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(30) == 0


def not_found(environ, start_response):
    return Response("nothing here", HTTPStatus.NOT_FOUND)(environ, start_response)


def html(environ, start_response):
    if Request(environ).path == "/token":
        return github_only(environ, start_response)
    page = "<html><head><title>Hi</title></head><body><h1>It works!</h1></body></html>"
    return Response(page, content_type="text/html")(environ, start_response)


def github_only(environ, start_response):
    """Give identity tokens, and nothing else."""
    from attested_publish.rehearsal.jobs.github import job_claims
    from attested_publish.rehearsal.jobs.issuer import Issuer

    request = Request(environ)
    if request.path != "/token":
        return not_found(environ, start_response)
    token = Issuer(job_claims({}, {})).issue(request.args["audience"])
    answer = Response(json.dumps({"value": token}), content_type="application/json")
    return answer(environ, start_response)


def job(url: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/token?api-version=2",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
    }
