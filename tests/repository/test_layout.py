"""Where tests lie, and that they share nothing but what is in tests/support."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from support.paths import ROOT, TESTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BESIDE_THE_PACKAGES = {"support", "repository", "e2e", "fuzz", "independent"}
"""Folders of tests that are not named like a package of the program."""


def is_test(path: Path) -> bool:
    return path.name.startswith(("test_", "e2e_")) or path.name == "conftest.py"


def imports_of_tests(tests: Path) -> Iterator[str]:
    """Every import of a test module, wherever it is written: `importing file: imported name`."""
    names = {path.stem for path in tests.rglob("*.py") if is_test(path)}
    for path in sorted(tests.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for imported in imported_by(node):
                if names & set(imported.split(".")):
                    yield f"{path.relative_to(tests).as_posix()}: {imported}"


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{each.name}" for each in node.names]
    return []


def test_no_test_module_imports_another() -> None:
    assert list(imports_of_tests(TESTS)) == []


def test_an_import_of_a_test_module_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "conftest.py").write_text("import pytest\n")
    (tmp_path / "e2e_http.py").write_text("from net.test_http import one\n")
    (tmp_path / "test_other.py").write_text("from net import test_http\nfrom . import conftest\n")
    (tmp_path / "net" / "helper.py").write_text("def late():\n    import net.test_http as there\n")
    (tmp_path / "net" / "test_http.py").write_text("from test.support import one\nimport e2e\n")
    assert list(imports_of_tests(tmp_path)) == [
        "e2e_http.py: net.test_http.one",
        "net/helper.py: net.test_http",
        "test_other.py: net.test_http",
        "test_other.py: .conftest",
    ]


def test_every_folder_is_named_like_a_package() -> None:
    package = ROOT / "src" / "attested_publish"
    packages = {path.parent.relative_to(package) for path in package.rglob("__init__.py")}
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*.py") if is_test(path)}
    mirroring = {each for each in folders if not BESIDE_THE_PACKAGES.intersection(each.parts[:1])}
    assert mirroring <= packages


def test_every_module_of_tests_is_collected() -> None:
    """Nothing that has tests is named so that pytest passes it over."""
    for path in TESTS.rglob("*.py"):
        if path.parts[len(TESTS.parts)] != "support" and not is_test(path):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            assert not [name for name in names if name.startswith("test_")], path
