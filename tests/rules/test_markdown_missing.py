"""Where the Markdown renderer has no wheel, everything else is judged, and a notice says so."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_RULE = "description-not-rendered-here"

# The import system itself finds no comrak, as where it is not installed.
_WITHOUT = """
import json, pathlib, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "comrak":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from attested_publish.rules.checks import check_file
path = pathlib.Path(sys.argv[1])
found = check_file(path, path.name, path.stat().st_size)
print(json.dumps([(one.rule, one.severity) for one in found]))
"""


def judged(path: Path) -> list[tuple[str, str]]:
    """Judge a file as a judge does, in a process that has no renderer for Markdown."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(path)],
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    # readme_renderer's own warning would come with a line of its source.
    assert done.stderr == ""
    return [(rule, severity) for rule, severity in json.loads(done.stdout)]


def readme(text: str, content_type: str) -> str:
    return (
        "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
        f"Description-Content-Type: {content_type}\n\n{text}"
    )


def test_markdown_is_not_rendered_and_a_notice_says_so(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, metadata=readme("# Title\n", "text/markdown; variant=GFM"))
    assert judged(wheel) == [(_RULE, "notice")]


def test_other_descriptions_are_judged_as_ever(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, metadata=readme(":func:`x`\n", "text/x-rst"))
    assert judged(wheel) == [("description-not-rendered", "error")]
    assert judged(make_sdist(tmp_path, metadata=readme("Text.\n", "text/plain"))) == []
