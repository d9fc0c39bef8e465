"""Wheels of one release, as large as real ones: `many_wheels.py FOLDER COUNT [--distinct]`.

A wheel has about 3 MB and 300 members: 230 Python modules of the size of real ones, type stubs,
data, and four extension modules. The wheels have the same Python files, and extension modules of
their own, as those for several platforms do; with `--distinct` every wheel has Python files of its
own. A program of its own, so that the process that measures stays small: its memory would count as
memory of the processes it measures.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import random
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PROJECT: Final = "sample"
_VERSION: Final = "1.0"
_INFO: Final = f"{_PROJECT}-{_VERSION}.dist-info"
_EPOCH: Final = (2020, 1, 1, 0, 0, 0)

_MODULES: Final = 230
_STUBS: Final = 40
_DATA: Final = 21
_EXTENSIONS: Final = 4
_MODULE_SIZES: Final = (2_000, 50_000)
_STUB_SIZES: Final = (500, 8_000)
_DATA_SIZES: Final = (1_000, 20_000)
_EXTENSION_SIZE: Final = 403_000
_REQUIREMENTS: Final = 40


def main() -> None:
    """Write the wheels, and print their paths."""
    parser = argparse.ArgumentParser(description="Write the wheels of one release.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--distinct", action="store_true", help="no two wheels share a module")
    options = parser.parse_args()
    for path in make_wheels(options.folder, options.count, are_distinct=options.distinct):
        print(path)


def make_wheels(folder: Path, count: int, *, are_distinct: bool = False) -> list[Path]:
    """Write `count` wheels of one release into `folder`."""
    folder.mkdir(parents=True)
    common: Path | None = None
    wheels = []
    for build in range(1, count + 1):
        path = folder / f"{_PROJECT}-{_VERSION}-{build}-py3-none-any.whl"
        if common is None or are_distinct:
            common = folder.parent / "common.zip"
            _write_common(common, seed=build if are_distinct else 0)
        # The members that are the same in every wheel are compressed once.
        path.write_bytes(common.read_bytes())
        _complete(path, build)
        wheels.append(path)
    return wheels


def _write_common(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = _source()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _common_members(chance, source):
            archive.writestr(_entry(name), content)


def _common_members(chance: random.Random, source: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, count, sizes in (
        ("module_{}.py", _MODULES, _MODULE_SIZES),
        ("module_{}.pyi", _STUBS, _STUB_SIZES),
        ("data/table_{}.json", _DATA, _DATA_SIZES),
    ):
        for number in range(count):
            # Most files are small, as in real projects.
            size = round(sizes[0] + (sizes[1] - sizes[0]) * chance.random() ** 2)
            start = chance.randrange(len(source) - size)
            package = "" if number % 3 else f"part_{number % 7}/"
            yield f"{_PROJECT}/{package}{kind.format(number)}", source[start : start + size]
    yield f"{_INFO}/METADATA", _metadata()
    yield f"{_INFO}/licenses/LICENSE", source[:11_000]
    yield f"{_INFO}/entry_points.txt", b"[console_scripts]\nsample = sample.module_1:main\n"


def _complete(path: Path, build: int) -> None:
    """Add what only this wheel has, and RECORD."""
    chance = random.Random(build)
    wheel = (
        "Wheel-Version: 1.0\nGenerator: benchmarks\nRoot-Is-Purelib: true\n"
        f"Tag: py3-none-any\nBuild: {build}\n"
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(_EXTENSIONS):
            content = chance.randbytes(_EXTENSION_SIZE) + bytes(_EXTENSION_SIZE)
            archive.writestr(_entry(f"{_PROJECT}/native_{number}.so"), content)
        archive.writestr(_entry(f"{_INFO}/WHEEL"), wheel)
        record = "".join(_record_line(entry) for entry in archive.infolist())
        archive.writestr(_entry(f"{_INFO}/RECORD"), f"{record}{_INFO}/RECORD,,\n")


def _record_line(entry: zipfile.ZipInfo) -> str:
    # Any digest will do: PyPI compares the names alone.
    digest = hashlib.sha256(entry.CRC.to_bytes(4, "big")).digest()
    coded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{entry.filename},sha256={coded},{entry.file_size}\n"


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _source() -> bytes:
    """Return real Python: the modules at the top of this Python's library."""
    library = Path(sysconfig.get_path("stdlib"))
    return b"".join(path.read_bytes() for path in sorted(library.glob("*.py")))


def _metadata() -> bytes:
    readme = Path(__file__).parents[1] / "README.md"
    return (
        f"Metadata-Version: 2.4\nName: {_PROJECT}\nVersion: {_VERSION}\n"
        "Summary: A release to measure with\n"
        "Author-email: Somebody <somebody@example.com>\n"
        "License-Expression: MIT OR Apache-2.0\nLicense-File: LICENSE\n"
        "Project-URL: Homepage, https://example.com/sample\n"
        "Project-URL: Documentation, https://example.com/sample/docs\n"
        "Project-URL: Source, https://example.com/sample/source\n"
        "Keywords: sample,measure,release\n"
        + "".join(f"Classifier: {one}\n" for one in _CLASSIFIERS)
        + "Requires-Python: >=3.9\n"
        + "".join(_requirements(_REQUIREMENTS))
        + "Description-Content-Type: text/markdown\n\n"
        + readme.read_text(encoding="utf-8")
    ).encode()


def _requirements(count: int) -> Iterator[str]:
    for number in range(count):
        extra = f"extra{number % 5}"
        yield (
            f'Requires-Dist: needed-{number}<{number + 2},>={number}.1; extra == "{extra}" and '
            f'python_version >= "3.10"\n'
        )
    for number in range(5):
        yield f"Provides-Extra: extra{number}\n"


_CLASSIFIERS: Sequence[str] = (
    "Development Status :: 5 - Production/Stable",
    "Intended Audience :: Developers",
    "Operating System :: OS Independent",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3 :: Only",
    "Programming Language :: Python :: 3.10",
    "Programming Language :: Python :: 3.11",
    "Programming Language :: Python :: 3.12",
    "Programming Language :: Python :: 3.13",
    "Programming Language :: Python :: 3.14",
    "Programming Language :: Python :: Implementation :: CPython",
    "Topic :: Software Development :: Build Tools",
    "Typing :: Typed",
)


if __name__ == "__main__":
    main()
