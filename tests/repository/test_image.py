"""The Dockerfile's files, and the tool that assembles the image."""

from __future__ import annotations

import ast
import fnmatch
import importlib.metadata
import re
import sys
from pathlib import Path

import assemble_image
import pytest
from packaging.requirements import Requirement

from support.paths import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

linux = pytest.mark.skipif(sys.platform != "linux", reason="it runs in the image's base")

# Imported only on Windows, by older Pythons, or by commands that nothing here calls:
# cffi builds extensions, docutils tests itself.
_UNUSED = {"distutils", "curses", "readline"}


def copied_by_the_dockerfile():
    """What the Dockerfile takes from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return {name for line in lines for name in line.split()[:-1]}


def test_the_image_of_a_branch_is_named_after_all_that_is_in_it():
    launch = (ROOT / "launch.sh").read_text(encoding="utf-8")
    found = re.search(r"find (Dockerfile .*?) -type f", launch, re.DOTALL)[1]
    hashed = set(found.replace("\\\n", " ").split())
    assert hashed == copied_by_the_dockerfile() | {"Dockerfile", ".dockerignore"}


def test_the_engine_is_sent_what_is_copied_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied_by_the_dockerfile()


def test_bytecode_is_made_by_one_process():
    """Several share the files out by chance, and CPython writes other bytes after other files."""
    commands = re.findall(r"-m compileall (.*)", DOCKERFILE)
    assert commands
    assert [line for line in commands if "-j 1 " not in line] == []
    tool = (ROOT / "tools" / "assemble_image.py").read_text(encoding="utf-8")
    assert re.findall(r"workers=(\d+)", tool) == ["1"]


LEFT_OUT = {
    name
    for name in sys.stdlib_module_names | {"test", "distutils", "lib2to3"}
    for pattern in assemble_image.LEFT_OUT
    if fnmatch.fnmatch(name, pattern) or f"{name}.py" == pattern
}
IMPORT = re.compile(rf"(?:import|from)\s.*\b(?:{'|'.join(sorted(LEFT_OUT))})\b")


def left_out_but_imported(path):
    """The modules that the image leaves out and a file imports, wherever it does."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)) if IMPORT.search(text) else ():
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        yield from {name.partition(".")[0] for name in names} & LEFT_OUT


def locked_packages():
    for line in (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield importlib.metadata.distribution(requirement.name)


def test_nothing_is_left_out_that_the_locked_packages_import():
    """Also inside of functions: what is imported late is missed late."""
    paths = [Path(file.locate()) for each in locked_packages() for file in each.files or ()]
    paths += (ROOT / "src").rglob("*.py")
    sources = [
        path for path in paths if path.suffix == ".py" and not {"tests", "bin"} & {*path.parts}
    ]
    assert len(sources) > 1000
    assert {"venv", "ensurepip", "tkinter", "sqlite3", "curses", "_pyio"} <= LEFT_OUT
    assert {name for path in sources for name in left_out_but_imported(path)} <= _UNUSED


def test_an_import_of_what_is_left_out_would_be_found(tmp_path):
    source = tmp_path / "source.py"
    source.write_text("import json, re\ndef late():\n    import os, sqlite3.dbapi2 as database\n")
    assert list(left_out_but_imported(source)) == ["sqlite3"]
    source.write_text("from .venv import test\nfrom attested_publish import tkinter\n")
    assert list(left_out_but_imported(source)) == []


@linux
def test_a_file_keeps_its_path_and_the_links_to_it(tmp_path):
    base = tmp_path / "base"
    (base / "usr/lib").mkdir(parents=True)
    (base / "usr/lib/real.so.1.2").write_bytes(b"library")
    (base / "usr/lib/real.so.1").symlink_to("real.so.1.2")
    (base / "lib").symlink_to("usr/lib")
    (base / "lib64").symlink_to(base / "lib")
    (base / "usr/lib/unrelated").touch()
    (tmp_path / "image").mkdir()
    tree = assemble_image.Tree(tmp_path / "image")
    assert tree.carry(base / "lib64" / "real.so.1") == base / "usr/lib/real.so.1.2"
    copy = tmp_path / "image" / base.relative_to("/")
    assert {path.relative_to(copy).as_posix() for path in copy.rglob("*")} >= {"lib", "lib64"}
    assert (copy / "lib").readlink() == Path("usr/lib")
    assert (copy / "lib64").readlink() == base / "lib"
    assert (copy / "usr/lib/real.so.1").readlink() == Path("real.so.1.2")
    assert (copy / "usr/lib/real.so.1.2").read_bytes() == b"library"
    assert not (copy / "usr/lib/unrelated").exists()
    assert tree.sources == {base / "usr/lib/real.so.1.2"}


@linux
def test_the_libraries_of_a_program_and_of_an_extension_module():
    extension = Path(importlib.import_module("_ctypes").__file__)
    found = assemble_image.shared_libraries({Path(sys.executable).resolve(), extension})
    names = {path.name.partition(".so")[0] for path in found}
    assert {"libc", "libffi", "libgcc_s"} <= names
    assert [name for name in names if name.startswith("ld-")]


@linux
def test_a_library_that_the_base_image_lacks_is_named(tmp_path, monkeypatch):
    extension = Path(importlib.import_module("_ctypes").__file__)
    content = extension.read_bytes().replace(b"libffi.so.", b"libgee.so.")
    (tmp_path / "broken.so").write_bytes(content)
    with pytest.raises(SystemExit, match=r"libgee\.so"):
        assemble_image.shared_libraries({tmp_path / "broken.so"})
