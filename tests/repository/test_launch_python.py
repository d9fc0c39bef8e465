"""Plain Python as a runtime: launch.sh and install.py with real shells, Pythons and pips.

The locks here have one or two packages, made up for the test, in a folder that pip's settings
name: so nothing is fetched.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.locks import write_wheel
from support.plain_python import prepared_job
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="bash may be that of another system there"
)


@pytest.fixture
def job(tmp_path):
    return prepared_job(tmp_path)


@pytest.mark.slow
def test_nothing_in_the_environment_changes_what_is_installed(job):
    more = job.folder / "more.txt"
    more.write_text(job.wheel("added"))
    evil = job.folder / "evil"
    evil.mkdir()
    (evil / "sitecustomize.py").write_text("raise SystemExit('imported')")
    (evil / "pip.py").write_text("raise SystemExit('imported')")
    # Runs whenever the new environment's Python starts, as for `pip check`.
    told = job.folder / "told"
    spy = f"import os; open({str(told)!r}, 'a').write(repr(dict(os.environ)))\n"
    job.lock(job.wheel("locked", files={"spy.pth": spy}))
    done = job.prepare(
        TWINE_PASSWORD="a-secret",
        ACTIONS_ID_TOKEN_REQUEST_TOKEN="a-secret",
        GITHUB_ENV=str(evil / "env"),
        PIP_REQUIREMENT=str(more),
        PIP_EDITABLE=str(evil),
        PIP_CONSTRAINT=str(more),
        PIP_TARGET=str(evil),
        PIP_PREFIX=str(evil),
        PIP_ROOT=str(evil),
        PIP_USER="1",
        PIP_PYTHON="/nowhere",
        PIP_DRY_RUN="1",
        PIP_PLATFORM="win32",
        PIP_LOG=str(evil / "log"),
        PIP_NO_BINARY=":all:",
        PYTHONPATH=str(evil),
        PYTHONHOME=str(evil),
        PYTHONSTARTUP=str(evil / "pip.py"),
        PYTHONPLATLIBDIR="elsewhere",
        PYTHONUSERBASE=str(evil),
        PYTHONWARNINGS="error",
    )
    assert done.returncode == 0, done.stdout
    assert job.installed() == {"locked"}
    seen = told.read_text()
    assert "PIP_FIND_LINKS" in seen
    assert [name for name in ("a-secret", "GITHUB_", "PYTHON", "PIP_USER") if name in seen] == []
    assert {path.name for path in evil.iterdir()} == {"sitecustomize.py", "pip.py"}


# Put a wheel into pip's cache as what was built from a file with the locked hash.
_PLANT = """
import pathlib, shutil, sys
from pip._internal.cache import SimpleWheelCache
from pip._internal.models.direct_url import ArchiveInfo, DirectUrl
from pip._internal.models.link import Link
cache, locked, sha256, planted = sys.argv[1:]
folder = pathlib.Path(SimpleWheelCache(cache).get_path_for_link(Link(locked)))
folder.mkdir(parents=True)
shutil.copy(planted, folder)
origin = DirectUrl(url=locked, info=ArchiveInfo(hashes={"sha256": sha256}))
(folder / "origin.json").write_text(origin.to_json())
"""


@pytest.mark.slow
def test_a_wheel_planted_in_pips_cache_is_not_installed(job):
    # Not by a link: as in a virtual environment, so that it has the same pip as here.
    job.use_python(sys.executable)
    cache = job.folder / "home/.cache/pip"
    lock = job.wheel("locked", files={"locked.py": "good = True"})
    job.lock(lock)
    good = job.wheels / "locked-1-py3-none-any.whl"
    (job.folder / "planted").mkdir()
    planted = write_wheel(job.folder / "planted", "locked", "1", files={"locked.py": "evil = True"})
    sha256 = lock.strip().rpartition(":")[2]
    command = [sys.executable, "-c", _PLANT, cache, good.as_uri(), sha256, planted]
    subprocess.run(command, check=True)
    # pip does not notice.
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"),
            *("--require-hashes", "--only-binary", ":all:", "--find-links", job.wheels),
            *("--cache-dir", cache, "--target", job.folder / "target"),
            *("-r", job.folder / "action/requirements/runtime.txt"),
        ],
        check=True,
        capture_output=True,
    )
    assert (job.folder / "target/locked.py").read_text() == "evil = True"
    done = job.prepare(XDG_CACHE_HOME=str(cache.parent), PIP_CACHE_DIR=str(cache))
    assert done.returncode == 0, done.stdout
    assert job.installers() == {"pip"}
    (module,) = job.venv.glob("lib/**/locked.py")
    assert module.read_text() == "good = True"


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"GITHUB_RUN_ID": "2"}, {"RUNNER_TRACKING_ID": "github_2"}])
def test_the_environment_is_that_of_the_job_alone(job, other):
    names = {"GITHUB_RUN_ID": "1", "GITHUB_JOB": "publish", "RUNNER_TRACKING_ID": "github_1"}
    assert job.prepare(**names).returncode == 0
    first = job.venv
    made = (first / "complete").stat().st_mtime_ns
    # The next call in the job.
    assert job.prepare(**names).returncode == 0
    assert (job.venv, (first / "complete").stat().st_mtime_ns) == (first, made)
    # As what the runner was not able to delete before the next job.
    (first / "lib" / "planted").touch()
    done = job.prepare(**names | other)
    assert done.returncode == 0, done.stdout
    handed_over = (job.folder / "output").read_text().splitlines()[-1]
    assert handed_over.startswith("python=")
    assert str(first) not in handed_over
    assert not (Path(handed_over.removeprefix("python=")).parents[1] / "lib/planted").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("section", "where"), [("global", "the user's"), ("install", "named")])
def test_of_a_configuration_file_only_the_way_to_the_packages_counts(job, section, where):
    more = job.folder / "more.txt"
    more.write_text(job.wheel("added"))
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX"):
        del job.environment[name]
    settings = job.folder / "home" / ".config" / "pip" / "pip.conf"
    if where == "named":
        settings = job.folder / "some.conf"
        job.environment["PIP_CONFIG_FILE"] = str(settings)
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(
        f"[{section}]\nfind-links =\n    {job.folder}/nothing-here\n    {job.wheels}\n"
        f"no-index = true\nrequirement = {more}\ntarget = {job.folder}/elsewhere\n"
        "quiet = 2\ndry-run = true\n"
    )
    done = job.prepare()
    assert done.returncode == 0, done.stdout
    assert job.installed() == {"locked"}
    assert not (job.folder / "elsewhere").exists()


@pytest.mark.slow
def test_where_no_wheel_fits_it_says_so_and_tries_the_next_python(job):
    job.lock(job.wheel("locked", tag="cp27-cp27m-win32"))
    other = job.folder / "bin" / "python3.13"
    other.write_text(f'#!{shutil.which("bash")}\nexec {shlex.quote(sys.executable)} "$@"\n')
    other.chmod(0o755)
    # Another name for the same Python is no other Python.
    done = job.prepare()
    version = re.escape(".".join(map(str, sys.version_info[:3])))
    misfit = rf"locked 1 has no wheel for CPython {version} on [\w.-]+"
    assert done.returncode == 1
    assert re.search(rf"^{misfit}\.$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(
        rf"::error title=attested-publish cannot run here::runtime is python, but the locked "
        rf"packages have no wheels for a Python on PATH \({misfit}\): add a step",
        done.stdout,
    ), done.stdout
    assert done.stdout.count("::group::") == 1
    assert list((job.folder / "temp").iterdir()) == []


@pytest.mark.slow
def test_the_next_python_on_path_may_do(job):
    others = [path for path in pythons() if path[0] != sys.version_info[:2]]
    if not others:
        pytest.skip("there is only one Python from 3.11 on here")
    (major, minor), program = others[0]
    (job.folder / "bin" / f"python{major}.{minor}").symlink_to(program)
    job.lock(job.wheel("locked", tag=f"cp{major}{minor}-none-any"))
    done = job.prepare()
    assert done.returncode == 0, done.stdout
    assert "locked 1 has no wheel for CPython 3." in done.stdout
    assert f"Runtime: Python {major}.{minor}." in done.stdout
    assert job.installed() == {"locked"}


def pythons():
    """Other Pythons of this machine: on PATH, or kept by pyenv."""
    candidates = [shutil.which(f"python3.{minor}") for minor in range(11, 15)]
    candidates += Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
        "versions/3.1[1-4]*/bin/python3"
    )
    script = "import ensurepip, sys, venv; print(*sys.version_info[:2], sys.executable)"
    found = {}
    for candidate in filter(None, candidates):
        done = subprocess.run(
            [candidate, "-I", "-c", script], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            major, minor, program = done.stdout.split()
            found[int(major), int(minor)] = program
    return sorted(found.items())


@pytest.mark.slow
def test_an_index_that_cannot_be_reached_is_not_taken_for_a_python_that_does_not_fit(job):
    done = job.prepare(
        PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0"
    )
    assert done.returncode == 1
    assert "the locked packages could not be installed (pip names above" in done.stdout
    assert "has no wheel" not in done.stdout


# Runs as a Python starts.
_HANGS = """
import os, sys, time
if {word!r} in sys.orig_argv:
    with open({file!r}, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(100)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "bound", "what"),
    [
        ("venv", "VENV", "python -m venv"),
        ("config", "QUESTION", "pip config list"),
        ("install", "PIP", "pip install"),
        ("check", "QUESTION", "pip check"),
    ],
)
def test_what_hangs_is_ended_and_named(job, word, bound, what):
    bare = job.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", bare], check=True)
    job.use_python(bare / "bin" / "python3")
    (site,) = bare.glob("lib/python3*/site-packages")
    hanging = job.folder / "hanging"
    (site / "sitecustomize.py").write_text(_HANGS.format(word=word, file=str(hanging)))
    script = job.folder / "action" / "install.py"
    text, found = re.subn(
        rf"^(_{bound}_SECONDS: Final =) \d+$", r"\1 8", script.read_text(), flags=re.MULTILINE
    )
    assert found == 1
    script.write_text(text)
    done = job.prepare()
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "::error title=attested-publish cannot run here::runtime is python, but "
        f"{what} did not finish within 8 seconds."
    )
    assert "Traceback" not in done.stdout
    process = Path("/proc", hanging.read_text())
    wait_for(lambda: not process.exists())
    assert list((job.folder / "temp").glob("*/complete")) == []


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_not_blamed_on_the_index(job):
    bare = job.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    job.use_python(bare / "bin" / "python3")
    (site,) = bare.glob("lib/python3*/site-packages")
    fails = "import sys\nif 'venv' in sys.orig_argv: sys.exit('no room')\n"
    (site / "sitecustomize.py").write_text(fails)
    done = job.prepare()
    assert done.returncode == 1
    assert "no room" in done.stdout
    assert done.stdout.endswith("but python -m venv failed (the log says why).\n")


@pytest.mark.slow
def test_what_prepares_cannot_speak_to_the_runner(job):
    # pip prints what an index says of a file it was taken back for, as it is.
    page = job.folder / "index" / "locked"
    page.mkdir(parents=True)
    (wheel,) = job.wheels.glob("*.whl")
    page.joinpath("index.html").write_text(
        f'<a href="{wheel.as_uri()}" data-yanked="bad&#10;::error::spoken&#10;::add-path::/evil">'
        f"{wheel.name}</a>"
    )
    done = job.prepare(
        PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL=(job.folder / "index").as_uri()
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert "::error::spoken" in lines
    (start,) = (at for at, line in enumerate(lines) if line.startswith("::stop-commands::"))
    word = lines[start].removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", word)
    end = lines.index(f"::{word}::")
    assert start < lines.index("::error::spoken") < end
    assert lines[start - 1] == "::group::Install the locked packages"
    assert lines[end + 1] == "::endgroup::"
