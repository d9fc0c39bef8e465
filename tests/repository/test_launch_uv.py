"""Plain Python as a runtime: what uv installs, from where, and when pip does instead.

Real uv, pip and shells. uv is called through a script that notes its command lines.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.mirror import mirror, private_certificates
from support.plain_python import UV, add_to, prepared_job
from support.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="bash may be that of another system there"),
]


@pytest.fixture
def job(tmp_path):
    return prepared_job(tmp_path)


def assert_done(job, done, installer):
    assert done.returncode == 0, done.stdout
    assert job.installed() == {"locked"}
    assert job.installers() == {installer}
    assert (job.venv / "complete").exists()


# Which uv.


def test_the_one_on_path_is_used(job):
    job.put_uv_on_path()
    job.lock_uv()
    assert_done(job, job.prepare(), "uv")
    assert {line.split()[0] for line in job.asked_of_uv} == {"path"}


def test_without_one_the_locked_one_is_fetched_and_does_not_stay(job):
    job.lock_uv()
    assert_done(job, job.prepare(), "uv")
    assert {line.split()[0] for line in job.asked_of_uv} == {"locked"}
    assert not (job.venv / "bin" / "uv").exists()
    assert [path.name for path in (job.folder / "temp").iterdir()] == [job.venv.name]


BROKEN = {
    "fails": "exit 1",
    "is another program": "echo ultraviolet 1.0",
    "is too old": "echo uv 0.7.22",
    "talks without end": "while :; do echo ultraviolet; done",
    "is endless": f"exec {shutil.which('sleep')} 100",
    "cannot be started": "\x00",
}


@pytest.mark.parametrize("how", BROKEN)
def test_one_that_is_of_no_use_is_passed_over(job, how):
    script = job.put_uv_on_path(BROKEN[how])
    if how == "cannot be started":
        script.write_bytes(b"\x7fELF of another machine")
    job.lock_uv()
    assert_done(job, job.prepare(), "uv")
    assert [line for line in job.asked_of_uv if line.startswith("path pip")] == []


def test_the_next_on_path_may_do(job):
    job.put_uv_on_path("exit 1")
    (job.folder / "more").mkdir()
    job.put_uv_on_path(folder="more")
    job.environment["PATH"] += f":{job.folder}/more"
    assert_done(job, job.prepare(), "uv")


def test_one_in_the_working_directory_is_not_on_path(job):
    job.put_uv_on_path(folder="workspace")
    job.environment["PATH"] += "::."
    assert_done(job, job.prepare(), "pip")
    assert job.asked_of_uv == []


# When pip installs instead.


@pytest.mark.parametrize("with_uv", [True, False], ids=["uv", "no uv"])
def test_a_python_without_pip_still_has_ensurepip(job, with_uv):
    # As on Debian with python3-venv, and without python3-pip.
    bare = job.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    job.use_python(bare / "bin" / "python3")
    if with_uv:
        job.put_uv_on_path()
    assert_done(job, job.prepare(), "uv" if with_uv else "pip")
    assert (job.venv / "bin" / "pip").exists()


def test_without_any_pip_installs(job):
    assert_done(job, job.prepare(), "pip")


def test_a_locked_one_with_other_bytes_is_not_run(job):
    job.lock_uv()
    add_to(job.wheels / "uv-99-py3-none-any.whl", "more", "")
    assert_done(job, job.prepare(), "pip")
    assert job.asked_of_uv == []


def test_one_that_does_nothing_successfully_is_noticed(job):
    job.put_uv_on_path("echo uv 99.0.0")
    assert_done(job, job.prepare(), "pip")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_cancelled_job_leaves_no_uv_running(job, number):
    job.put_uv_on_path(
        f"if [[ $1 == --version ]]; then exec {UV} --version; fi\n"
        f"echo $$ >{job.folder}/uv-is; exec {shutil.which('sleep')} 100"
    )
    process = job.begin()
    wait_for(lambda: (job.folder / "uv-is").exists() and (job.folder / "uv-is").read_text())
    os.killpg(process.pid, number)
    process.communicate(timeout=20)
    uv = Path("/proc", (job.folder / "uv-is").read_text().strip())
    wait_for(lambda: not uv.exists() or "sleep" not in (uv / "cmdline").read_text())
    wait_for(lambda: not list((job.folder / "temp").glob("*-work-*")))
    assert not (job.venv / "complete").exists()


def test_where_it_fails_halfway_nothing_of_it_is_left(job):
    job.put_uv_on_path(
        f"if [[ $1 == --version ]]; then exec {UV} --version; fi\n"
        "while [[ $1 != --python ]]; do shift; done\n"
        '"$2" -c "import pathlib, sysconfig;'
        " pathlib.Path(sysconfig.get_path('purelib'), 'half.py').touch()\"\nexit 2"
    )
    done = job.prepare()
    assert_done(job, done, "pip")
    assert "uv could not install the packages, so pip does." in done.stdout
    assert list(job.venv.glob("**/half.py")) == []


def test_what_was_interrupted_is_not_taken_for_done(job):
    # As when the job is cancelled while uv installs: nobody is left to clean up.
    job.put_uv_on_path(f'[[ $1 == --version ]] || kill -9 "$PPID"; exec {UV} "$@"')
    assert job.prepare().returncode == 1
    job.put_uv_on_path()
    for left in (job.folder / "temp").glob("*-work-*"):
        shutil.rmtree(left)
    assert not (job.venv / "complete").exists()
    assert_done(job, job.prepare(), "uv")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PIP_FIND_LINKS", "{folder}/links.html"),
        ("PIP_FIND_LINKS", "~nobody-at-all/wheels {folder}/wheels"),
        ("PIP_CERT", "{folder}/certificates"),
        ("PIP_TIMEOUT", "soon"),
        ("PIP_TIMEOUT", "inf"),
    ],
)
def test_what_has_no_equal_in_uv_is_left_to_pip(job, setting, value):
    job.put_uv_on_path()
    (job.folder / "certificates").mkdir()
    links = "".join(f'<a href="{each.as_uri()}"></a>' for each in job.wheels.iterdir())
    (job.folder / "links.html").write_text(links)
    done = job.prepare(**{setting: value.format(folder=job.folder)})
    assert job.asked_of_uv == []
    assert "install.py" not in done.stdout, "no traceback of ours"
    if value != "soon":
        assert_done(job, done, "pip")
    else:
        assert done.returncode == 1
        assert "timeout" in done.stdout


def test_a_file_with_other_bytes_is_refused(job):
    job.put_uv_on_path()
    add_to(job.wheels / "locked-1-py3-none-any.whl", "locked.py", "changed = True")
    done = job.prepare(UV_NO_VERIFY_HASHES="1")
    assert done.returncode == 1
    assert any(line.startswith("path pip install") for line in job.asked_of_uv)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stdout
    assert "the locked packages could not be installed" in done.stdout
    assert not (job.venv / "complete").exists()
    assert job.installed() == set()


def test_where_no_wheel_fits_pip_says_so(job):
    job.put_uv_on_path()
    job.lock(job.wheel("locked", tag="cp27-cp27m-win32"))
    done = job.prepare()
    assert done.returncode == 1
    assert "locked 1 has no wheel for CPython 3." in done.stdout
    assert any(line.startswith("path pip install") for line in job.asked_of_uv)


# What changes nothing.


def test_settings_of_uv_change_nothing(job):
    job.put_uv_on_path()
    more = job.folder / "more.txt"
    more.write_text("locked==2\n")
    job.wheel("locked", "2")
    settings = (
        'constraint-dependencies = ["locked==2"]\noverride-dependencies = ["locked==2"]\n'
        'no-binary = true\noffline = true\nexclude-newer = "2001-01-01"\n'
    )
    own = '[pip]\ntarget = "elsewhere"\nno-index = false\n'
    (job.workspace / "uv.toml").write_text(settings + own)
    (job.workspace / "pyproject.toml").write_text(
        f'[project]\nname = "x"\nversion = "1"\n[tool.uv]\n{settings}'
    )
    for user in (".config/uv", "Library/Application Support/uv"):
        (job.folder / "home" / user).mkdir(parents=True)
        (job.folder / "home" / user / "uv.toml").write_text(own)
    done = job.prepare(
        UV_CONSTRAINT=str(more),
        UV_OVERRIDE=str(more),
        UV_CONFIG_FILE=str(job.workspace / "uv.toml"),
        UV_TARGET=str(job.folder / "elsewhere"),
        UV_PREFIX=str(job.folder / "elsewhere"),
        UV_PYTHON="/nowhere",
        UV_SYSTEM_PYTHON="1",
        UV_NO_BINARY="1",
        UV_OFFLINE="1",
        UV_INDEX="http://127.0.0.1:9/",
        UV_DEFAULT_INDEX="http://127.0.0.1:9/",
        UV_EXCLUDE_NEWER="2001-01-01",
        UV_COMPILE_BYTECODE="1",
        UV_LINK_MODE="symlink",
    )
    assert_done(job, done, "uv")
    assert not (job.folder / "elsewhere").exists()


def test_a_cache_that_somebody_has_changed_is_not_used(job):
    job.lock(job.wheel("locked", files={"locked.py": "good = True"}))
    caches = {"XDG_CACHE_HOME": job.folder / "home/.cache/uv", "UV_CACHE_DIR": job.folder / "own"}
    target = job.folder / "target"
    install = [
        *(UV, "pip", "install", "--no-config", "--no-index", "--find-links", job.wheels),
        *("--no-deps", "--require-hashes", "--python", sys.executable),
        *("-r", job.folder / "action/requirements/runtime.txt"),
    ]
    environment = {"PATH": job.environment["PATH"], "HOME": job.environment["HOME"]}
    for cache in caches.values():
        command = [*install, "--cache-dir", cache, "--target", target / cache.name]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        (unpacked,) = cache.glob("archive-v*/*/locked.py")
        unpacked.unlink()
        unpacked.write_text("evil = True")
    # uv does not notice.
    command = [*install, "--cache-dir", caches["UV_CACHE_DIR"], "--target", target / "again"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (target / "again" / "locked.py").read_text() == "evil = True"
    job.put_uv_on_path()
    done = job.prepare(
        UV_CACHE_DIR=str(caches["UV_CACHE_DIR"]), XDG_CACHE_HOME=str(job.folder / "home/.cache")
    )
    assert_done(job, done, "uv")
    (module,) = job.venv.glob("lib/**/locked.py")
    assert module.read_text() == "good = True"


# Mirrors.


@pytest.fixture
def mirrored(job):
    """A job for which all ways to packages are still open, with both a uv on PATH and pip."""
    job.put_uv_on_path()
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX"):
        del job.environment[name]
    for name in list(job.environment):
        if "CERT" in name or "BUNDLE" in name or "PROXY" in name.upper():
            del job.environment[name]
    job.environment["PIP_RETRIES"] = "1"
    return job


@pytest.mark.parametrize("place", ["variable", "file", "netrc", "extra"])
def test_a_mirror_that_requires_a_password(mirrored, place):
    home = mirrored.folder / "home"
    with mirror(mirrored.wheels, login="somebody:s3cret-word") as server:
        plain = f"http://127.0.0.1:{server.port}/simple/"
        address = plain.replace("//", "//somebody:s3cret-word@")
        variables = {}
        if place == "variable":
            variables["PIP_INDEX_URL"] = address
        elif place == "extra":
            empty = mirrored.folder / "empty"
            empty.mkdir()
            variables["PIP_INDEX_URL"] = empty.as_uri()
            variables["PIP_EXTRA_INDEX_URL"] = f"file:///nowhere/at/all\n {address}"
        elif place == "file":
            (home / ".config/pip").mkdir(parents=True)
            (home / ".config/pip/pip.conf").write_text(f"[global]\nindex-url = {address}\n")
        else:
            (home / ".netrc").write_text("machine 127.0.0.1 login somebody password s3cret-word\n")
            (home / ".netrc").chmod(0o600)
            variables["PIP_INDEX_URL"] = plain
        done = mirrored.prepare(**variables)
    assert_done(mirrored, done, "uv")
    assert "/files/locked-1-py3-none-any.whl" in server.asked
    assert mirrored.asked_of_uv
    assert "s3cret" not in done.stdout + "".join(mirrored.asked_of_uv)


def test_a_mirror_with_a_private_certificate(mirrored):
    authority, own = private_certificates(mirrored.folder / "tls")
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        with mirror(mirrored.wheels, certificate=own) as server:
            done = mirrored.prepare(
                PIP_INDEX_URL=f"https://127.0.0.1:{server.port}/simple/", **{name: str(authority)}
            )
        assert_done(mirrored, done, "uv")
        shutil.rmtree(mirrored.venv)


@pytest.mark.parametrize("how", ["trusted", "unknown"])
def test_a_certificate_that_nobody_knows(mirrored, how):
    _, own = private_certificates(mirrored.folder / "tls")
    with mirror(mirrored.wheels, certificate=own) as server:
        host = {"PIP_TRUSTED_HOST": f"elsewhere 127.0.0.1:{server.port}"}
        done = mirrored.prepare(
            PIP_INDEX_URL=f"https://127.0.0.1:{server.port}/simple/",
            **(host if how == "trusted" else {}),
        )
    if how == "trusted":
        assert_done(mirrored, done, "uv")
    else:
        assert done.returncode == 1
        assert "the locked packages could not be installed (pip names above" in done.stdout


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_mirror_behind_a_proxy(mirrored, scheme):
    with mirror(mirrored.wheels) as server:
        done = mirrored.prepare(
            PIP_INDEX_URL="http://mirror.invalid/simple/",
            PIP_PROXY=f"{scheme}127.0.0.1:{server.port}",
            NO_PROXY="*",
        )
    assert_done(mirrored, done, "uv")
    assert "http://mirror.invalid/files/locked-1-py3-none-any.whl" in server.asked


def test_the_locked_uv_comes_from_the_mirror_too(mirrored):
    (mirrored.folder / "bin" / "uv").unlink()
    mirrored.lock_uv()
    with mirror(mirrored.wheels, login="somebody:s3cret-word") as server:
        address = f"http://somebody:s3cret-word@127.0.0.1:{server.port}/simple/"
        done = mirrored.prepare(PIP_INDEX_URL=address)
    assert_done(mirrored, done, "uv")
    assert "s3cret" not in done.stdout + "".join(mirrored.asked_of_uv)


def test_why_an_index_cannot_be_reached_pip_says(mirrored):
    done = mirrored.prepare(PIP_INDEX_URL="http://somebody:s3cret-word@127.0.0.1:9/")
    assert done.returncode == 1
    assert "uv could not install the packages, so pip does." in done.stdout
    assert "the locked packages could not be installed (pip names above" in done.stdout
    assert "Connection refused" in done.stdout
    assert "s3cret" not in done.stdout
