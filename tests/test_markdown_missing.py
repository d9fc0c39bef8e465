"""Where the Markdown renderer has no wheel, everything else is judged, and a notice says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_RULE = "description-not-rendered-here"

# The import system itself finds no comrak, as where it is not installed.
_WITHOUT = """
import runpy, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "comrak":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
sys.argv = ["attested-publish", *sys.argv[1:]]
runpy.run_module("attested_publish", run_name="__main__")
"""


def checked(
    dist: Path, folder: Path, *options: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    report = folder / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-c", _WITHOUT, "check", "--offline", str(dist)),
            *("--report", str(report), *options),
        ],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        check=False,
        timeout=60,
    )
    return done, json.loads(report.read_text(encoding="utf-8"))


def readme(text: str, content_type: str) -> str:
    return (
        "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
        f"Description-Content-Type: {content_type}\n\n{text}"
    )


@pytest.mark.parametrize("mode", ["true", "strict"])
def test_markdown_is_not_rendered_and_a_notice_says_so(tmp_path: Path, mode: str) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    make_wheel(dist, metadata=readme("# Title\n", "text/markdown; variant=GFM"))
    done, report = checked(dist, tmp_path, "--verify-metadata", mode)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [(one["rule"], one["severity"]) for one in report["files"][0]["findings"]]
    assert found == [(_RULE, "notice")]
    # readme_renderer's own warning would come with a line of its source.
    assert "Warning" not in done.stdout + done.stderr


def test_other_descriptions_are_judged_as_ever(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    make_wheel(dist, metadata=readme(":func:`x`\n", "text/x-rst"))
    make_sdist(dist, metadata=readme("Text.\n", "text/plain"))
    done, report = checked(dist, tmp_path)
    assert done.returncode == 1
    rules = {
        file["filename"]: [one["rule"] for one in file["findings"]] for file in report["files"]
    }
    assert rules["sample-1.0-py3-none-any.whl"] == ["description-not-rendered"]
    assert rules["sample-1.0.tar.gz"] == []
