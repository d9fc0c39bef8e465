"""The platform tags that PyPI takes in the name of a wheel.

Facts: the lists in PyPI's `warehouse/utils/wheel.py` as of August 2026. PyPI adds to them when
a platform gets a specification (PEP 600, 656, 730, 738, 783) or macOS a new version.
"""

from __future__ import annotations

import re
from enum import Enum, auto

_FIXED = frozenset(
    {
        "any",
        "win32",
        "win_amd64",
        "win_arm64",
        "win_ia64",
        "linux_armv6l",
        "linux_armv7l",
        "manylinux1_i686",
        "manylinux1_x86_64",
        "manylinux2010_i686",
        "manylinux2010_x86_64",
        "manylinux2014_aarch64",
        "manylinux2014_armv7l",
        "manylinux2014_i686",
        "manylinux2014_ppc64",
        "manylinux2014_ppc64le",
        "manylinux2014_s390x",
        "manylinux2014_x86_64",
    }
)
_VERSIONED = re.compile(
    r"(manylinux_\d+_\d+_(x86_64|i686|aarch64|armv7l|ppc64|ppc64le|s390x|riscv64)"
    r"|musllinux_\d+_\d+_(x86_64|i686|aarch64|armv7l|ppc64le|s390x|riscv64)"
    r"|ios_\d+_\d+_(arm64|x86_64)_(iphoneos|iphonesimulator)"
    r"|android_\d+_(armeabi_v7a|arm64_v8a|x86|x86_64)"
    r"|pyemscripten_\d+_\d+_wasm32)"
)
_MACOS = re.compile(
    r"macosx_(?P<major>[1-9][0-9]{0,3})_(?P<minor>\d+)_"
    r"(ppc|ppc64|i386|x86_64|arm64|intel|fat|fat3|fat64|universal|universal2)"
)
_MACOS_10 = 10
# From 11 on only X_0 is taken; after 15 came 26. Tags 16 to 25 stand for no macOS.
_MACOS_MAJORS = frozenset({11, 12, 13, 14, 15, 26})


# What PyPI was seen to refuse (August 2026), and has a reason to.
_REFUSED = re.compile(r"linux_.*|macosx_.*|win_arm|(pyodide|emscripten)_.*")


class Standing(Enum):
    """Whether PyPI takes a platform tag; `NEWER`: it may, if its list is newer than this one."""

    TAKEN = auto()
    REFUSED = auto()
    NEWER = auto()


def standing(platform: str) -> Standing:
    """Look up the platform tag `platform`, such as `manylinux_2_28_x86_64`."""
    if platform in _FIXED or _VERSIONED.fullmatch(platform):
        return Standing.TAKEN
    macos = _MACOS.fullmatch(platform)
    if macos is None:
        return Standing.REFUSED if _REFUSED.fullmatch(platform) else Standing.NEWER
    major, is_first = int(macos["major"]), macos["minor"] == "0"
    if major == _MACOS_10 or (major in _MACOS_MAJORS and is_first):
        return Standing.TAKEN
    return Standing.NEWER if major > max(_MACOS_MAJORS) and is_first else Standing.REFUSED


def remedy(platform: str) -> str:
    """Return what to do about a wheel whose platform tag is refused."""
    if platform.startswith("linux_"):
        return "Repair the wheel with auditwheel (or build it with cibuildwheel): manylinux tag."
    if macos := _MACOS.fullmatch(platform):
        nearest = max((m for m in _MACOS_MAJORS if m <= int(macos["major"])), default=11)
        return (
            f"Set MACOSX_DEPLOYMENT_TARGET={nearest}.0 when building, or run delocate: from "
            f"macOS 11 on the tag is macosx_<major>_0."
        )
    if platform.startswith(("pyodide_", "emscripten_")):
        return "Build for a pyemscripten_<year>_<patch>_wasm32 tag (PEP 783)."
    return "Build for a platform that PyPI has a specification for, or publish only the sdist."
