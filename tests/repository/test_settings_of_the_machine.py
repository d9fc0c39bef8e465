"""What a machine sets up for its own Python, pip and git changes neither `.venv` nor a test."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.environment import without_a_job
from support.locks import without_settings_of_pip
from support.makers import make_wheel
from support.paths import ROOT, TESTS


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An environment with pip, and nothing else."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", folder], check=True)
    purelib = next(folder.glob("lib/*/site-packages"), folder / "Lib" / "site-packages")
    shutil.copytree(Path(importlib.util.find_spec("pip").origin).parent, purelib / "pip")
    return folder


def run_make(folder: Path, rule: str, variables: dict[str, str], *arguments: str) -> str:
    """Run a rule of our Makefile's variables; return what it prints."""
    rules = folder / "rules.mk"
    # `make PYTHON=… test` passes that on.
    passed_on = {"PYTHON", "MAKEFLAGS", "MFLAGS"}
    environment = {k: v for k, v in without_a_job().items() if k not in passed_on}
    rules.write_text(f"asked:\n\t@{rule}\n", encoding="utf-8")
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", ROOT / "Makefile", "-f", rules, "asked", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_variables_for_other_pythons_reach_no_recipe(tmp_path: Path) -> None:
    variables = {"PYTHONPATH": "/x", "PYTHONHOME": "/y", "PYTHONWARNINGS": "error", "PYTHON": "z"}
    names = [line.partition("=")[0] for line in run_make(tmp_path, "env", variables).splitlines()]
    assert [name for name in names if name.startswith("PYTHON")] == ["PYTHON"]
    # The first Python is chosen although none would start with these.
    chosen = run_make(tmp_path, "echo $(PYTHON)", {"PYTHONHOME": "/y"})
    assert chosen.strip().startswith("python3")


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_names_that_others_use_too_are_only_taken_from_the_command_line(tmp_path: Path) -> None:
    variables = {"DIST": "bookworm", "TESTS": "none", "VERSION": "2"}
    rule = "echo [$(DIST)$(TESTS)$(VERSION)]"
    assert run_make(tmp_path, rule, variables) == "[]\n"
    # `make e2e TESTS=…` passes that on to another make.
    makefile = shlex.quote(f"{ROOT}/Makefile").replace("$", "$$")
    rule = f"$(MAKE) -s -f {makefile} -f rules.mk inner\ninner:\n\t@{rule}"
    assert run_make(tmp_path, rule, variables, "DIST=asked") == "[asked]\n"


def test_a_clone_in_a_folder_that_is_not_ascii_starts_with_any_locale() -> None:
    """Python reads these files in the locale's encoding, and with LC_ALL=C this is ASCII."""
    (line,) = Path(sysconfig.get_path("purelib"), "attested_publish.pth").read_text().splitlines()
    assert line == "../../../../src"


@pytest.mark.parametrize("is_file", [True, False])
def test_pip_installs_into_the_environment(empty: Path, tmp_path: Path, is_file: bool) -> None:
    links = tmp_path / "links"
    links.mkdir()
    make_wheel(links)
    way = ["[global]", f"find-links = {links}", "no-index = 1"]
    harmful = {"user": "1", "target": "x", "require-hashes": "1", "dry-run": "1", "no-binary": "x"}
    in_file = ["[install]", *(f"{name} = {value}" for name, value in harmful.items())]
    file = tmp_path / "pip.conf"
    file.write_text("\n".join(way + in_file * is_file), encoding="utf-8")
    variables = {f"PIP_{name.upper().replace('-', '_')}": text for name, text in harmful.items()}
    python = empty / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run(
        [python, "-I", ROOT / "tools" / "locked_pip.py", "install", "--no-deps", "sample"],
        cwd=tmp_path,
        env=without_settings_of_pip()
        | {"PIP_CONFIG_FILE": str(file)}
        | ({} if is_file else variables),
        check=True,
    )
    subprocess.run([python, "-I", "-c", "import sample"], check=True)


def test_git_of_a_test_has_no_setting_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[commit]\ngpgsign = true\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", tmp_path / "own"], check=True)
    variables = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(TESTS)}
    # As git starts a hook.
    variables |= {"GIT_DIR": str(tmp_path / "own" / ".git"), "GIT_INDEX_FILE": "index"}
    script = (
        "import subprocess, support.environment as here; here.forget_settings_of_git();"
        "print(subprocess.call(['git', 'config', 'commit.gpgsign']));"
        "print(subprocess.call(['git', 'rev-parse', '--git-dir']))"
    )
    before = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=before | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "128"]


def test_these_tests_themselves_have_none() -> None:
    assert os.environ["GIT_CONFIG_GLOBAL"] == os.devnull
    assert "GIT_DIR" not in os.environ
