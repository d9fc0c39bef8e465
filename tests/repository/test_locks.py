"""The locks: each is whole, is installed by every pip, and is promised only where it can be."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML
from wheels import DEVELOPMENT, PYTHONS, RUNTIME, TABLES, promised

from support.locks import (
    COMMANDS,
    OPTIONS,
    assert_installed,
    install,
    options_in,
    read_lock,
    requires_of,
    write_index,
)
from support.paths import ROOT

LOCKS = ("runtime", "dev", "e2e", "audit")


def read_requirements(name):
    """What an .in file asks for itself."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def environment(platform, python):
    return {
        **platform.markers,
        "python_version": python,
        "python_full_version": f"{python}.1",
        "implementation_version": f"{python}.1",
        "extra": "",
    }


def targets(table):
    return sorted(promised(table), key=lambda target: (target[0].name, target[1]))


def target_name(value):
    return value if isinstance(value, str) else value.uv


# What is asked for.


def options_of_launch():
    """The options in install.py, which launch.sh starts."""
    tree = ast.parse((ROOT / "install.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "OPTIONS":
            return list(ast.literal_eval(node.value))
    raise AssertionError("install.py has no OPTIONS")


def test_all_that_installs_a_lock_is_known():
    files = [file for file, _ in COMMANDS]
    assert {"Makefile", "Dockerfile", ".github/workflows/ci.yml"} <= set(files)
    # runtime and dev, and one rule for all that have an environment of their own.
    assert files.count("Makefile") == len({"runtime", "dev", "$*"})


@pytest.mark.parametrize(
    "options",
    [*(options_in(line) for _, line in COMMANDS), options_of_launch()],
    ids=[*(file for file, _ in COMMANDS), "install.py"],
)
def test_a_lock_is_installed_as_it_is(options):
    assert {"--no-deps", "--require-hashes"} <= set(options)
    assert options[options.index("--only-binary") + 1] == ":all:"
    # The tests below try those of the Makefile; how many files get compiled is all that differs.
    assert set(options) - {"--no-compile"} == set(OPTIONS)


@pytest.mark.parametrize("file", sorted({file for file, _ in COMMANDS}))
def test_what_is_installed_gets_checked(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    pip = r"(?:\bpip|/python|\$\(PIP\)|/locked_pip\.py) (?:\S*python )?(?:-m pip )?"
    checks = len(re.findall(rf"{pip}check\b", text))
    assert checks >= [each for each, _ in COMMANDS].count(file)


def imported_in(folders):
    """The distributions whose modules the Python files in `folders` import, each with a file."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    ours = {name for path in files for name in (path.stem, path.parent.name)}
    # A tool imports install.py.
    ours |= {path.stem for path in ROOT.glob("*.py")}
    provided = importlib.metadata.packages_distributions()
    found = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            # Type checkers bring `_typeshed`; it is not there when anything runs.
            names = {module.partition(".")[0] for module in modules} - {"_typeshed"}
            for name in names - sys.stdlib_module_names - {"attested_publish"}:
                assert name in provided or name in ours, f"{path} imports {name}: whose is it?"
                found.update(dict.fromkeys(map(canonicalize_name, provided.get(name, ())), path))
    return found


def test_what_runs_imports_what_is_declared_and_nothing_else():
    declared = {
        canonicalize_name(each.name)
        for name in ("runtime", "lock", "setup")
        for each in read_requirements(name)
    }
    assert imported_in(["src"]).keys() == declared


def test_tools_and_tests_import_what_is_declared():
    declared = {
        canonicalize_name(each.name)
        for name in ("runtime", "setup", "dev")
        for each in read_requirements(name)
    }
    # Python's venv module brings pip.
    declared |= {"pip"}
    imported = imported_in(["tools", "tests", "benchmarks"])
    assert {name: str(path) for name, path in imported.items() if name not in declared} == {}


# What is locked.


@pytest.mark.parametrize("name", [*LOCKS, "uv"])
def test_every_line_is_a_version_with_its_hashes(name):
    for locked in read_lock(name):
        assert locked.version
        assert locked.hashes


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.page)
@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_a_lock_is_its_own_closure(table, name):
    lock = read_lock(name)
    unseen = set()
    elsewhere = {locked.name for locked in lock if not locked.holds(None)}
    for platform, python in targets(table):
        here = environment(platform, python)
        chosen = {}
        for locked in lock:
            if locked.holds(here):
                assert locked.name not in chosen, f"{locked.name} twice on {platform.name}"
                chosen[locked.name] = locked.version
        roots = [
            *read_requirements("runtime"),
            *(read_requirements("dev") if name == "dev" else []),
        ]
        wanted = [(requirement, "") for requirement in roots]
        seen = set()
        unseen_there = set()
        while wanted:
            requirement, extra = wanted.pop()
            if requirement.marker and not requirement.marker.evaluate({**here, "extra": extra}):
                continue
            called = canonicalize_name(requirement.name)
            where = f"{requirement} on {platform.name}, Python {python}"
            assert called in chosen, f"{where} is not in {name}.txt"
            assert requirement.specifier.contains(chosen[called], prereleases=True), where
            for each in {"", *requirement.extras} - {e for n, e in seen if n == called}:
                seen.add((called, each))
                requires = requires_of(called)
                if requires is None:
                    unseen_there.add(called)
                else:
                    wanted += [(requirement, each) for requirement in requires]
        unreached = set(chosen) - {called for called, _ in seen}
        # What is not installed here, because this machine has no use for it, may require others
        # that are not either. `make wheels` knows.
        assert not unreached or (unseen_there and unreached <= elsewhere)
        unseen |= unseen_there
    assert unseen <= elsewhere


def test_the_uv_that_installs_is_the_one_of_the_tests():
    (locked,) = read_lock("uv")
    assert locked.version in {each.version for each in read_lock("dev") if each.name == "uv"}
    # Everywhere: no marker.
    assert locked.holds(None)
    assert locked.requirement.marker is None


def test_the_project_asks_for_what_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [Requirement(text) for text in project["dependencies"]]
    asked = read_requirements("runtime")
    lock = read_lock("runtime")
    for platform, python in targets(RUNTIME):
        here = environment(platform, python)

        def active(requirements, here=here):
            return {
                (canonicalize_name(each.name), extra)
                for each in requirements
                if each.marker is None or each.marker.evaluate(here)
                for extra in ("", *each.extras)
            }

        assert active(declared) == active(asked)
        for each in declared:
            if each.marker is None or each.marker.evaluate(here):
                (version,) = (
                    locked.version
                    for locked in lock
                    if locked.name == canonicalize_name(each.name) and locked.holds(here)
                )
                assert each.specifier.contains(version), f"{each} on {platform.name}"


# What is promised.


def test_the_promised_pythons_are_those_that_may_install_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={PYTHONS[0]}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"CPython {PYTHONS[0]} to {PYTHONS[-1]}" in readme
    launch = (ROOT / "launch.sh").read_text(encoding="utf-8")
    assert all(f"python{python}" in launch for python in PYTHONS)


_RUNNERS = {
    "ubuntu-24.04": "x86_64-manylinux",
    "ubuntu-24.04-arm": "aarch64-manylinux",
    "macos-15": "aarch64-apple",
    "macos-15-intel": "x86_64-apple",
    "windows-2025": "x86_64-pc-windows",
}


def test_ci_runs_where_it_is_promised_and_nowhere_else():
    jobs = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    assert {
        (_RUNNERS[runner], python) for runner in matrix["os"] for python in matrix["python"]
    } == {
        (next(start for start in _RUNNERS.values() if platform.uv.startswith(start)), python)
        for platform, python in promised(DEVELOPMENT)
    }
    starts = {platform.uv for platform, _ in promised(RUNTIME)}
    for job in jobs["self-test"]["strategy"]["matrix"]["include"]:
        assert any(uv.startswith(_RUNNERS[job["os"]]) for uv in starts)


# What is installed, by this Python's own pip; tests/e2e/e2e_install.py tries others.


def test_a_newer_release_of_everything_changes_nothing(tmp_path):
    lock = write_index(tmp_path / "index", "runtime")
    assert_installed(lock, *install(lock, OPTIONS, tmp_path / "venv"))
