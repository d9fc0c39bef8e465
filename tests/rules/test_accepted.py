"""What PyPI takes although it looks odd; a rule that refuses it would stop good releases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attested_publish.findings import Finding, Severity
from attested_publish.rules import checks
from support.makers import make_release, make_sdist, make_wheel, tar_link

if TYPE_CHECKING:
    from collections.abc import Callable

INFO = "sample-1.0.dist-info"

ODD: dict[str, Callable[[Path], Path]] = {
    "a build tag": lambda f: make_wheel(f, tag="1-py3-none-any"),
    "a build tag with letters": lambda f: make_wheel(f, tag="20240101abc-py3-none-any"),
    "a compressed tag set": lambda f: make_wheel(
        f, tag="py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64"
    ),
    "unknown python and abi tags": lambda f: make_wheel(f, tag="foo-bar-any"),
    "every platform of a wheel builder": lambda f: make_wheel(
        f,
        tag="cp313-cp313t-"
        "android_21_arm64_v8a.ios_13_0_arm64_iphonesimulator.macosx_10_13_universal2."
        "macosx_26_0_arm64.manylinux_2_39_riscv64.musllinux_1_2_s390x."
        "pyemscripten_2025_0_wasm32.win_arm64.linux_armv7l",
    ),
    "an epoch": lambda f: make_wheel(f, version="1!2.0"),
    "an epoch in an sdist": lambda f: make_sdist(f, version="1!2.0"),
    "a post release": lambda f: make_sdist(f, version="1.0.post1"),
    "a name that is equal but not canonical": lambda f: make_wheel(
        f, "my-sample", metadata={"Name": "My__Sample"}
    ),
    "such a name in an sdist": lambda f: make_sdist(f, "my-sample", metadata={"Name": "my.Sample"}),
    "a wheel's version spelled differently": lambda f: make_wheel(
        f, metadata={"Version": "v1.0.0"}
    ),
    "wrong hashes in RECORD": lambda f: make_wheel(
        f,
        extra_files={
            f"{INFO}/RECORD": "".join(
                f"{name},sha256=AAAA,1\n"
                for name in (
                    "sample/__init__.py",
                    f"{INFO}/METADATA",
                    f"{INFO}/WHEEL",
                    f"{INFO}/RECORD",
                )
            ).encode()
        },
    ),
    "an empty RECORD": lambda f: make_wheel(f, extra_files={f"{INFO}/RECORD": b""}),
    "garbage in WHEEL": lambda f: make_wheel(f, extra_files={f"{INFO}/WHEEL": b"\x00\xff"}),
    "metadata 2.5": lambda f: make_wheel(
        f, metadata={"Metadata-Version": "2.5", "Import-Name": "sample", "Import-Namespace": "ns"}
    ),
    "metadata 1.0": lambda f: make_sdist(
        f, metadata="Metadata-Version: 1.0\nName: sample\nVersion: 1.0\nDescription: Text.\n"
    ),
    "License-File before it was standard": lambda f: make_wheel(
        f, metadata={"Metadata-Version": "2.1", "License-File": "LICENSE"}
    ),
    "UNKNOWN, as distutils wrote": lambda f: make_wheel(
        f,
        metadata={"Home-Page": "UNKNOWN", "Author-Email": "UNKNOWN", "Platform": "UNKNOWN"},
    ),
    "an address without a host": lambda f: make_wheel(f, metadata={"Home-Page": "https:path"}),
    "several addresses in one field": lambda f: make_wheel(
        f, metadata={"Author-Email": "One <one@python.org>, Two <two@nowhere>"}
    ),
    **{
        f"no address to a newer Python: {text}": lambda f, text=text: make_wheel(
            f, metadata={"Author-Email": text}
        )
        for text in (
            *("a@localhost (one", "a@localhost)", r"a@localhost (\)", "a@localhost,"),
            *("(a, b) c@localhost", "x[y@localhost", "(" * 16_000),
        )
    },
    "symbolic links in an sdist": lambda f: make_sdist(
        f,
        members=[
            tar_link("sample-1.0/a", "../../../etc/passwd"),
            tar_link("sample-1.0/b", "/etc/passwd"),
        ],
    ),
    "a licence file that is a link": lambda f: make_sdist(
        f,
        metadata={"License-File": "LICENSE"},
        members=[tar_link("sample-1.0/LICENSE", "../LICENSE")],
    ),
    "any Markdown": lambda f: make_wheel(
        f,
        metadata="Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
        "Description-Content-Type: text/markdown\n\n"
        "# Hi\n<script>alert(1)</script>\n```python\nx =\n",
    ),
}


def findings(path: Path) -> list[Finding]:
    return checks.check_file(path, path.name, path.stat().st_size)


@pytest.mark.parametrize("make", ODD.values(), ids=[name[:60] for name in ODD])
def test_what_looks_odd_and_is_accepted(make: Callable[[Path], Path], tmp_path: Path) -> None:
    found = [one for one in findings(make(tmp_path)) if one.severity is not Severity.NOTICE]
    # twine warns of that too, also where the metadata are too old to state a type.
    assert [one for one in found if one.rule != "content-type-missing"] == []


def test_nothing_is_said_of_ordinary_files(tmp_path: Path) -> None:
    for path in make_release(tmp_path):
        assert findings(path) == []


def test_the_form_decides_not_the_metadata_in_the_wheel(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, metadata={"Version": "2.0"})
    form = {
        "metadata_version": ["2.1"],
        "name": ["sample"],
        "version": ["1.0"],
        "filetype": ["bdist_wheel"],
        "pyversion": ["py3"],
    }
    assert checks.refuse_file(form, path.name, path, path.stat().st_size) is None
