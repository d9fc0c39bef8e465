"""The wheel of this project and the lock of its release: what users install."""

from __future__ import annotations

import email
import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from release_lock import lock_of
from ruamel.yaml import YAML

from attested_publish import __version__
from attested_publish.fronts.carried import FOLDER
from support.environment import without_a_job
from support.locks import OPTIONS, install, without_settings_of_pip, write_index
from support.makers import make_release
from support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a frontend does, with the backend that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    # A frontend writes no files to the source, but another test may be reading it.
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check"]
    subprocess.run(
        [
            *(*pip, "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", folder, source),
        ],
        env=without_settings_of_pip(),
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def sdist(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the same files."""
    folder = tmp_path_factory.mktemp("sdist")
    build = "import sys; from flit_core.buildapi import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-I", "-c", build, folder], cwd=wheel.parent / "source", check=True
    )
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment, by its hash; return its console script."""
    folder = tmp_path_factory.mktemp("installed")
    lock = wheel.parent / "only.txt"
    lock.write_text(lock_of(wheel, [], list(EXTRAS)), encoding="utf-8")
    found, said = install(lock, OPTIONS, folder / "venv")
    assert found == {f"attested-publish=={__version__}"}, said
    paths = sysconfig.get_paths(
        "venv", {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    )
    # Its dependencies are those of these tests, which have the versions of the locks.
    tests = sysconfig.get_paths()["purelib"]
    (Path(paths["purelib"]) / "locked.pth").write_text(f"{tests}\n", encoding="utf-8")
    script = Path(paths["scripts"]) / f"attested-publish{sysconfig.get_config_var('EXE') or ''}"
    assert script.is_file()
    return script


def run(program: Path, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *map(str, arguments)],
        cwd=folder,
        env={**without_a_job(), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


def test_what_the_wheel_says_of_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(path))
        scripts = archive.read(path.replace("METADATA", "entry_points.txt")).decode()
        files = set(archive.namelist())
    assert metadata["Name"] == "attested-publish"
    assert metadata["Version"] == PROJECT["version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Provides-Extra") == sorted(EXTRAS)
    required = [Requirement(each) for each in metadata.get_all("Requires-Dist")]
    for extra, texts in EXTRAS.items():
        of_extra = {
            each.name
            for each in required
            if each.marker is not None
            and each.marker.evaluate({"extra": extra})
            and not each.marker.evaluate({"extra": ""})
        }
        assert of_extra == {Requirement(each).name for each in texts}
    assert "attested-publish=attested_publish.__main__:main" in scripts.replace(" ", "")
    package = ROOT / "src"
    ours = {
        each.relative_to(package).as_posix()
        for each in (package / "attested_publish").rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    assert {
        f"attested_publish/fronts/{FOLDER.name}/{each.name}" for each in FOLDER.iterdir()
    } <= ours
    assert {each for each in files if ".dist-info/" not in each} == ours


def test_the_installed_command_works(program: Path, tmp_path: Path) -> None:
    make_release(tmp_path / "dist")
    assert run(program, "--version", folder=tmp_path).stdout == f"{__version__}\n"
    for arguments, printed in (
        (["check", "--offline", "dist"], "sample-1.0"),
        (["rehearse", "dist"], "Rehearsed on"),
        (["explain", "the-folder-does-not-exist"], "# The folder does not exist"),
        (["completion", "bash"], "complete"),
        (["setup", "--help"], "--write"),
    ):
        done = run(program, *arguments, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert printed in done.stdout


def test_the_installed_command_is_what_the_wheel_has(program: Path, tmp_path: Path) -> None:
    python = next(
        path for path in program.parent.iterdir() if path.name in {"python", "python.exe"}
    )
    done = subprocess.run(
        [python, "-I", "-c", "import attested_publish; print(attested_publish.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(program.parent.parent)


def test_pypi_would_take_what_is_built(
    program: Path, wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    """Our own rules have in them what PyPI looks for in files, and PyPI looks into ours, too."""
    done = run(
        program,
        *("check", "--offline", "--verify-metadata", "strict", wheel, sdist),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    done = run(program, "rehearse", "--provenance", "--", wheel, sdist, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("digest and provenance") == 2


def written_lock(wheel: Path) -> str:
    return subprocess.run(
        [sys.executable, "-I", ROOT / "tools" / "release_lock.py", wheel.parent],
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


def test_the_lock_of_a_release_is_the_wheel_and_what_is_locked(wheel: Path) -> None:
    lock = written_lock(wheel)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    first = f"attested-publish[lock,setup]=={__version__} \\\n    --hash=sha256:{digest}\n"
    assert lock.startswith(first)
    rest = lock.removeprefix(first)
    for name in ("runtime", *EXTRAS):
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        assert text in rest
        rest = rest.replace(text, "")
    assert not rest
    pins = re.findall(r"^(\S+)==\S+(?: ; (.*?))? \\$", lock, re.MULTILINE)
    assert len(pins) == len(set(pins)), "pip refuses a package that is there twice"


def test_pip_installs_the_lock_of_a_release_and_no_other_wheel(wheel: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    others = write_index(index, "runtime").read_text("utf-8")
    shutil.copy(wheel, index)
    lock = index / "attested-publish.txt"
    lock.write_text(lock_of(wheel, [others], []), encoding="utf-8")
    found, said = install(lock, OPTIONS, tmp_path / "venv")
    assert f"attested-publish=={__version__}" in found, said
    assert len(found) == 1 + len(others.splitlines()), said
    with zipfile.ZipFile(index / wheel.name, "a") as archive:
        archive.writestr("attested_publish/evil.py", "")
    found, said = install(lock, OPTIONS, tmp_path / "tampered")
    assert not found
    assert "DO NOT MATCH" in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x==1 \\\n    --hash=sha256:aa", "x==1 \\\n    --hash=sha256:bb"),
        ("x==1 \\\n    --hash=sha256:aa", "x==2 \\\n    --hash=sha256:aa"),
    ],
)
def test_locks_that_disagree_make_none(wheel: Path, one: str, other: str) -> None:
    with pytest.raises(ValueError, match="lock"):
        lock_of(wheel, [one, other], [])
    assert lock_of(wheel, [one, one], []).count("x==1") == 1


# The workflow that releases it.


def test_the_release_publishes_itself() -> None:
    jobs = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    publish = jobs["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    download, action = publish["steps"]
    assert download["uses"].startswith("actions/download-artifact@")
    assert (
        download["with"]["artifact-ids"] == "${{ needs.distributions.outputs.dist || 'missing' }}"
    )
    # This action, at the commit of the run; nothing is checked out beside the permission.
    assert action == {"uses": "$/.", "with": {"provenance": True}}
    assert {"rehearse", "verify", "attest-files"} <= set(publish["needs"])
    assert "publish" in jobs["tag"]["needs"], "no tag names a version that PyPI does not have"
    assert "id-token" not in str(jobs["distributions"]["permissions"])
    assert jobs["rehearse"]["permissions"] == {}
    assert "tag" in jobs["release"]["needs"]
    scripts = {
        name: "".join(step.get("run", "") for step in jobs[name]["steps"])
        for name in ("distributions", "release")
    }
    assert '> "$RUNNER_TEMP/more/attested-publish.txt"' in scripts["distributions"]
    assert "(release/* " in scripts["release"]
    pages = (ROOT / "docs" / "installing.md").read_text("utf-8")
    assert "/attested-publish.txt" in pages
