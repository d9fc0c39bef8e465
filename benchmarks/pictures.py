"""Draw the step summaries that docs/ shows: `pictures.py [--mermaid mermaid.min.js]`.

Each is of a real run in the embedded world, with PyPI's name and addresses put in for those
of the loopback, rendered the way GitHub does it: markdown-it, a stylesheet like GitHub's, and
Chromium. Mermaid is no dependency of ours; without it the timeline stays a block of code.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import material
from markdown_it import MarkdownIt
from rich.console import Console

from attested_publish.console.mask import mask
from attested_publish.console.printer import Printer
from attested_publish.console.recorder import Recorder
from attested_publish.fronts.running import carry_out
from attested_publish.fronts.summary import summary
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.outcome import report_of
from attested_publish.journey.run import Run
from attested_publish.journey.targets import Targets
from attested_publish.net.addresses import PYPI_UPLOAD_URL
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import understand

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH = 900
TALLEST = 4000

STYLE = """
body { font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, "DejaVu Sans",
  "Noto Color Emoji", sans-serif; color: #1f2328; margin: 24px 32px; background: #fff; }
h2 { font-size: 21px; border-bottom: 1px solid #d1d9e0; padding-bottom: 6px; margin: 0 0 16px; }
h3 { font-size: 17px; margin: 22px 0 12px; }
table { border-collapse: collapse; display: block; margin: 0 0 16px; }
th, td { border: 1px solid #d1d9e0; padding: 5px 12px; }
tr:nth-child(2n) td { background: #f6f8fa; }
code, pre { font: 12px/1.45 "DejaVu Sans Mono", monospace; }
code { background: #eff1f3; border-radius: 6px; padding: 2px 5px; }
pre { background: #f6f8fa; border-radius: 6px; padding: 12px 16px; overflow: hidden; }
pre code { background: none; padding: 0; }
pre.mermaid { background: none; padding: 0; }
a { color: #0969da; text-decoration: none; }
details { margin: 0 0 16px; }
sub { color: #59636e; }
"""

REGISTRY = {
    "publishers": [
        {
            "owner": "octo-org",
            "owner_id": job_claims({}, {})["repository_owner_id"],
            "repo": "sample-project",
            "workflow": "publish.yml",
            "environment": "pypi",
            "projects": ["sample"],
        }
    ],
    "pending_publishers": [],
}
WORKFLOWS = "octo-org/sample-project/.github/workflows"


def done(files: int) -> str:
    """Return the summary of a release of so many files."""
    with staged(Registry.open(), "release.yml") as (world, folder):
        material.make_release(folder, "sample", files)
        return summary_of(world, folder)


def failure() -> str:
    """Return the summary of a release from a workflow that the index does not know, as before."""
    with staged(Registry.parse(json.dumps(REGISTRY)), "publish.yml") as (world, folder):
        material.make_sdist(folder, "sample")
        summary_of(world, folder)
        material.make_wheel(folder, "sample", 1)
        ref = f"{WORKFLOWS}/release.yml@{world.claims['ref']}"
        world.issuer.claims |= {"workflow_ref": ref, "job_workflow_ref": ref}
        return summary_of(world, folder)


@contextlib.contextmanager
def staged(registry: Registry, workflow: str) -> Iterator[tuple[World, Path]]:
    """Raise a world that answers about as fast as the real one, and an empty folder."""
    ref = f"{WORKFLOWS}/{workflow}@refs/tags/v1.0.0"
    overrides = {"environment": "pypi", "workflow_ref": ref, "job_workflow_ref": ref}
    latency = {"identity": 0.1, "certificate": 0.3, "log": 0.5, "upload": 0.6, "index": 0.1}
    with (
        tempfile.TemporaryDirectory() as folder,
        World(claims=job_claims({}, overrides), registry=registry, latency=latency) as world,
    ):
        yield world, Path(folder)


def summary_of(world: World, folder: Path) -> str:
    """Publish a folder to an embedded world, and return the summary as for PyPI."""
    settings = understand({"packages-dir": str(folder), "repository-url": world.upload_url})
    printer = Printer(Console(file=io.StringIO()))
    run = Run("publish", settings, Recorder(printer), mask)
    run.targets = Targets(
        Index.at(world.upload_url),
        world.trust_config,
        ambient=world.ambient,
        is_identity_local=True,
    )
    carry_out(lambda: publish.publish(run), run)
    report = report_of(run)
    report.story.is_log_public = True
    root = world.upload_url.removesuffix("/legacy/")
    text = summary(report, limit=1 << 20).replace(f"{root}/legacy/", PYPI_UPLOAD_URL)
    return text.replace(root, "https://pypi.org").replace(root.partition("://")[2], "PyPI")


def page(text: str, mermaid: Path | None) -> str:
    """Return Markdown as a page of HTML."""
    body = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    script = ""
    if mermaid is not None:
        body = body.replace('<pre><code class="language-mermaid">', '<pre class="mermaid"><code>')
        body = body.replace("<code>gantt", "gantt")
        script = (
            f"<script>{mermaid.read_text(encoding='utf-8')}</script>"
            "<script>mermaid.initialize({startOnLoad: true, gantt: {useWidth: 820}})</script>"
        )
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}{script}'


def photograph(html: str, picture: Path, chromium: str) -> None:
    """Let Chromium draw a page, as tall as it is."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "page.html")
        marker = (
            "<script>addEventListener('load', () => setTimeout(() => {"
            "document.title = document.documentElement.getBoundingClientRect().height}, 1500))"
            "</script>"
        )
        source.write_text(html + marker, encoding="utf-8")
        options = [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder}/profile", "--virtual-time-budget=5000"),
        ]
        dumped = subprocess.run(
            [*options, f"--window-size={WIDTH},800", "--dump-dom", source.as_uri()],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        height = float(dumped.partition("<title>")[2].partition("</title>")[0] or TALLEST)
        subprocess.run(
            [
                *options,
                f"--window-size={WIDTH},{min(TALLEST, round(height) + 24)}",
                f"--screenshot={picture}",
                source.as_uri(),
            ],
            capture_output=True,
            check=True,
        )


def main() -> None:
    """Draw every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mermaid", type=Path, help="mermaid.min.js of the npm package")
    parser.add_argument("--chromium", default="chromium")
    options = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    summaries = {"two-files": done(2), "sixty-files": done(60), "failure": failure()}
    for name, text in summaries.items():
        picture = PICTURES / f"summary-{name}.png"
        photograph(page(text, options.mermaid), picture, options.chromium)
        print(f"{picture}: {picture.stat().st_size} bytes")


if __name__ == "__main__":
    main()
