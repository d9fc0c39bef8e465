"""Assemble the image's files from the base image that this runs in, when the Dockerfile is built.

    python -I assemble_image.py ENVIRONMENT PROGRAM SHELL

PROGRAM becomes a folder with what the virtual environment ENVIRONMENT needs to run: the
interpreter, its library, the shared libraries of both, certificates, and a few files in /etc.
SHELL gets what is needed besides to run scripts. Whatever is copied keeps its path, and the links
to it. Records of the Debian packages that it came from go along, where scanners for vulnerable
packages look.
"""

from __future__ import annotations

import compileall
import fnmatch
import os
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEFT_OUT: Final = (
    # Tests, documentation, and what serves to build other software.
    *("test", "tests", "_test*", "_ctypes_test*", "_xxtestfuzz*", "xxlimited*", "xxsubtype*"),
    *("pydoc_data", "config-*", "__phello__*", "__pycache__", "*.a", "*.exe"),
    # The interactive interpreter, and what only stands in for modules in C.
    *("_pyrepl", "_pyio.py", "_pydecimal.py"),
    # What the base image would do to every Python program.
    *("sitecustomize.py", "usercustomize.py"),
    # What installs packages.
    *("ensurepip", "venv", "distutils", "lib2to3", "site-packages", "dist-packages"),
    # Windows, terminals, and small databases: all would need further libraries.
    *("idlelib", "tkinter", "_tkinter*", "turtle.py", "turtledemo"),
    *("curses", "_curses*", "readline*", "dbm", "_dbm*", "_gdbm*", "sqlite3", "_sqlite3*"),
)
"""What is not taken from the standard library: names of files and folders, at any depth."""

LOADED_LATER: Final = ("libgcc_s.so.1",)
"""Libraries that nothing is linked with: the C library loads this one as a thread ends."""

SHELL_PROGRAMS: Final = (
    # At the paths by which scripts and runners know them.
    *("/bin/sh", "/bin/bash", "/usr/bin/env"),
    *("[", "test", "true", "false", "echo", "printf", "expr", "seq"),
    *("pwd", "ls", "cat", "cp", "mv", "rm", "ln", "mkdir", "rmdir", "mktemp", "touch", "chmod"),
    *("chown", "install", "stat", "readlink", "realpath", "basename", "dirname", "du", "df"),
    *("head", "tail", "wc", "sort", "uniq", "cut", "tr", "tee", "sha256sum", "base64", "od"),
    *("id", "whoami", "uname", "hostname", "date", "sleep", "timeout", "nproc", "tty", "stty"),
    *("grep", "sed", "find", "xargs", "diff", "tar", "gzip"),
)
"""What the runners of GitLab and CircleCI call in a job's image, and scripts commonly do."""

_MADE: Final = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    # Both ways are built into the C library.
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\s]+\n-----END CERTIFICATE-----"
)
_OF_THE_SYSTEM: Final = (
    # Where the loader finds libraries, and which release the records of packages are about.
    *("/etc/ld.so.cache", "/etc/os-release", "/etc/debian_version"),
)
_DPKG: Final = Path("/var/lib/dpkg")


class Tree:
    """A folder that becomes the root folder of an image, and where its files came from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sources: set[Path] = set()

    def carry(self, path: Path | str) -> Path:
        """Copy a file to the same path, and the links that lead there. Return its real path."""
        here = Path("/")
        ahead = list(reversed(Path(path).parts))
        while ahead:
            here = Path(os.path.normpath(here / ahead.pop()))
            copy = self._within(here)
            if here.is_symlink():
                target = here.readlink()
                if not copy.is_symlink():
                    copy.symlink_to(target)
                ahead += reversed(target.parts)
                here = here.parent
            elif here.is_dir():
                copy.mkdir(exist_ok=True)
            else:
                self.sources.add(here)
                if not copy.exists():
                    shutil.copy2(here, copy)
        return here

    def carry_folder(self, folder: Path, left_out: Iterable[str] = ()) -> set[Path]:
        """Copy a folder, except for names that match `left_out`; return the real paths."""
        return {self.carry(path) for path in _files(folder, tuple(left_out))}

    def write(self, path: Path, text: str) -> None:
        """Write a file of our own."""
        (self.folder(path.parent) / path.name).write_text(text, encoding="utf-8")

    def link(self, path: Path, target: Path) -> None:
        """Make a link of our own."""
        (self.folder(path.parent) / path.name).symlink_to(target)

    def folder(self, path: Path) -> Path:
        """Return the folder for `path` in this one, made if needed, as the base image has it."""
        if path.exists():
            return self._within(self.carry(path))
        made = self.folder(path.parent) / path.name
        made.mkdir(exist_ok=True)
        return made

    def compile(self, folder: Path) -> None:
        """Add bytecode that is never checked against its source: both are fixed in the image."""
        done = compileall.compile_dir(
            self._within(folder),
            quiet=1,
            # With more of them, the bytes depend on chance: see the Dockerfile.
            workers=1,
            stripdir=str(self._folder),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not done:
            raise SystemExit(f"{folder} could not be compiled.")

    def _within(self, path: Path) -> Path:
        return self._folder / path.relative_to("/")


def main() -> None:
    """Assemble both folders."""
    environment, program, shell = map(Path, sys.argv[1:])
    packages = package_of_each_file()
    tree = assemble_program(environment, program)
    record_packages(tree, packages, already=set())
    shell_tree = assemble_shell(shell, tree.sources)
    record_packages(shell_tree, packages, already=tree.sources)


def assemble_program(environment: Path, folder: Path) -> Tree:
    """Make the folder in which the program of a virtual environment can run."""
    folder.mkdir(parents=True)
    tree = Tree(folder)
    interpreter = tree.carry((environment / "bin" / "python").readlink())
    standard = Path(os.__file__).parent
    files = tree.carry_folder(standard, LEFT_OUT)
    tree.compile(standard)
    objects = {interpreter, *files, *_files(environment, ())}
    for library in shared_libraries(objects):
        # Wheels may bring some of their own.
        if not library.is_relative_to(environment):
            tree.carry(library)
    for name in _OF_THE_SYSTEM:
        if Path(name).exists():
            tree.carry(name)
    add_certificates(tree)
    for name, text in _MADE.items():
        tree.write(Path(name), text)
    tree.folder(Path("/root")).chmod(0o700)
    tree.folder(Path("/tmp")).chmod(0o1777)
    return tree


def assemble_shell(folder: Path, there: set[Path]) -> Tree:
    """Make the folder that adds a shell, and common programs, to what is `there`."""
    folder.mkdir(parents=True)
    tree = Tree(folder)
    found = {name: shutil.which(name) for name in SHELL_PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise SystemExit(f"The base image lacks {', '.join(missing)}.")
    programs = {tree.carry(path) for path in found.values() if path}
    for path in shared_libraries(programs):
        if path.resolve() not in there:
            tree.carry(path)
    return tree


def shared_libraries(files: Iterable[Path]) -> set[Path]:
    """Return the libraries, and the loader, that executables and libraries among `files` need."""
    objects = [str(path) for path in sorted(files) if _is_elf(path)]
    done = subprocess.run(["ldd", *objects], env={}, capture_output=True, text=True, check=False)
    if "=> not found" in done.stdout:
        raise SystemExit(f"A library is missing in the base image:\n{done.stdout}")
    found = {Path(path) for path in re.findall(r"^\s.*?(/\S+) \(0x", done.stdout, re.MULTILINE)}
    beside = {path.parent for path in found if path.name.startswith("libc.so.")}
    return found | {folder / name for folder in beside for name in LOADED_LATER}


def add_certificates(tree: Tree) -> None:
    """Add the base image's trusted certificates, as one file, where OpenSSL and Debian look."""
    places = ssl.get_default_verify_paths()
    bundles = [Path(path) for path in (places.cafile, _BUNDLE) if path and Path(path).is_file()]
    sources = bundles or sorted(Path(places.capath or places.openssl_capath).glob("*"))
    certificates: dict[str, None] = {}
    for path in sources:
        certificates |= dict.fromkeys(
            _CERTIFICATE.findall(path.read_text(encoding="utf-8", errors="replace"))
        )
    if not certificates:
        raise SystemExit("The base image has no trusted certificates.")
    tree.write(_BUNDLE, "\n".join(certificates) + "\n")
    if Path(places.openssl_cafile) != _BUNDLE:
        tree.link(Path(places.openssl_cafile), _BUNDLE)
    configuration = Path(places.openssl_cafile).parent / "openssl.cnf"
    if configuration.exists():
        tree.carry(configuration)


def package_of_each_file() -> dict[Path, str]:
    """Return the Debian package of each file in the base image; empty where it has no dpkg."""
    real: dict[Path, Path] = {}
    packages = {}
    for listing in _DPKG.glob("info/*.list"):
        for line in listing.read_text(encoding="utf-8").splitlines():
            path = Path(line)
            # A package may list a file in /lib, which leads to /usr/lib.
            if path.parent not in real:
                real[path.parent] = path.parent.resolve()
            packages[real[path.parent] / path.name] = listing.stem
    return packages


def record_packages(tree: Tree, packages: dict[Path, str], already: set[Path]) -> None:
    """Record the packages of the files as distroless images do: one status file for each."""
    status = _DPKG / "status"
    if not status.exists():
        return
    known = {}
    for stanza in status.read_text(encoding="utf-8").split("\n\n"):
        if found := re.search(r"^Package: (\S+)$", stanza, re.MULTILINE):
            known[found[1]] = stanza.strip() + "\n"
    recorded = {_package(packages[path]) for path in already if path in packages}
    used = {_package(packages[path]) for path in tree.sources if path in packages}
    for name in sorted(used - recorded):
        tree.write(_DPKG / "status.d" / name, known[name])
        licence = Path("/usr/share/doc", name, "copyright")
        if licence.exists():
            tree.carry(licence)


def _package(listing: str) -> str:
    """Return the package's name: that of its list may end with an architecture."""
    return listing.partition(":")[0]


def _files(folder: Path, left_out: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in left_out):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, left_out)
        elif path.is_file():
            yield path


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


if __name__ == "__main__":
    main()
