"""Draw the step summaries in docs/: `pictures.py [NAME …]`.

Each is from a real run with the embedded services, with PyPI's name and addresses in place of those
on loopback, rendered as on GitHub: markdown-it, a stylesheet like GitHub's, and Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import material
from markdown_it import MarkdownIt
from rich.console import Console

from attested_publish.console.mask import mask
from attested_publish.console.printer import Printer
from attested_publish.console.recorder import Recorder
from attested_publish.fronts.lock_run import LockRequest, verify_locks
from attested_publish.fronts.lock_summary import lock_summary
from attested_publish.fronts.running import carry_out
from attested_publish.fronts.summary import summary
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.outcome import report_of
from attested_publish.journey.run import Run
from attested_publish.journey.targets import Targets
from attested_publish.net.addresses import PYPI_UPLOAD_URL
from attested_publish.rehearsal.history.reading import parse_history
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import understand

if TYPE_CHECKING:
    from attested_publish.rehearsal.pypi.store import StoredFile

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
HISTORY = {
    "publishers": {
        "http": {"repository": "octo-org/http-client", "environment": "pypi"},
        "fork": {"repository": "octocat/http-client", "workflow": "publish-to-pypi.yml"},
        "plugin": {
            "repository": "octo-org/an-organization-wide-monorepo-of-all-plugins",
            "workflow": "build-and-publish-all-changed-packages.yml",
            "environment": "production-package-index",
        },
        "dates": {"kind": "GitLab", "repository": "octo-group/dates"},
        "tables": {"repository": "octo-org/tables"},
        "arrays": {"repository": "octo-org/arrays", "workflow": "wheels.yml"},
    },
    "releases": [
        {"project": "http-client", "version": "2.4.0", "publisher": "http"},
        {"project": "http-client", "version": "2.4.1", "publisher": "fork"},
        {"project": "dates", "version": "5.1", "publisher": "dates"},
        {"project": "dates", "version": "5.2"},
        {
            "project": "an-organization-plugin-for-dark-mode-themes",
            "version": "1.19.0rc1",
            "publisher": "plugin",
        },
        {
            "project": "an-organization-plugin-for-dark-mode-themes",
            "version": "1.20.0",
            "publisher": "plugin",
        },
        {"project": "tables", "version": "0.9", "publisher": "tables"},
        {"project": "arrays", "version": "3.0", "publisher": "arrays"},
        {"project": "arrays", "version": "3.1", "publisher": "arrays"},
        {"project": "old-style", "version": "7.0"},
        {"project": "old-style", "version": "7.1"},
    ],
}
BEFORE = {
    "an-organization-plugin-for-dark-mode-themes": "1.19.0rc1",
    "dates": "5.1",
    "http-client": "2.4.0",
    "old-style": "7.0",
    "tables": "0.9",
}
NOW = {
    "an-organization-plugin-for-dark-mode-themes": "1.20.0",
    "arrays": "3.1",
    "dates": "5.2",
    "http-client": "2.4.1",
    "old-style": "7.1",
}
WORKFLOW = """\
on:
  release:
    types: [published]
jobs:
  release:
    runs-on: ubuntu-latest
    permissions:
      id-token: write
    steps:
      - uses: actions/checkout@v6
      - run: python -m build
      - uses: pypa/gh-action-pypi-publish@release/v1
"""
WORKFLOWS = "octo-org/sample-project/.github/workflows"


def done(files: int) -> str:
    """Return the summary of a release with that many files."""
    with staged(Registry.open(), "release.yml") as (world, folder):
        material.make_release(folder, "sample", files)
        return summary_of(world, folder)


def failure() -> str:
    """Return the summary of a release from a workflow that has no trusted publisher."""
    with staged(Registry.parse(json.dumps(REGISTRY)), "publish.yml") as (world, folder):
        material.make_sdist(folder, "sample")
        summary_of(world, folder)
        material.make_wheel(folder, "sample", 1)
        ref = f"{WORKFLOWS}/release.yml@{world.claims['ref']}"
        world.issuer.claims |= {"workflow_ref": ref, "job_workflow_ref": ref}
        return summary_of(world, folder)


def findings() -> str:
    """Return the summary of a check of files that PyPI would refuse."""
    with staged(Registry.open(), "release.yml") as (world, folder):
        for number in range(1, 13):
            headers = (
                f"Home-page: sample-{number}.example.org\n"
                "Classifier: Development Status :: 5 - Stable\n"
            )
            material.make_wheel(folder, f"sample_plugin_{number}", number, headers=headers)
        return summary_of(world, folder, publish.check, "check")


def verified() -> str:
    """Return the summary of `verify`, of a release whose publisher has changed."""
    with staged(Registry.open(), "release.yml") as (world, folder):
        world.fill(parse_history(json.dumps(HISTORY)))
        config = folder / "trust_config.json"
        config.write_text(world.trust_config)
        options = ("http-client==2.4.1", "--repository", "octo-org/http-client")
        text = step_summary(
            folder,
            *("verify", *options, "--index-url", world.index_url),
            *("--sigstore-trust-config", str(config)),
        )
        return as_for_pypi(text, world)


def set_up() -> str:
    """Return the summary of `setup`, of a repository whose job both builds and publishes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "sample")
        workflow = root / ".github" / "workflows" / "release.yml"
        workflow.parent.mkdir(parents=True)
        (root / "pyproject.toml").write_text('[project]\nname = "sample"\nversion = "1.0"\n')
        workflow.write_text(WORKFLOW)
        for command in (
            ("init", "-q", "-b", "main", str(root)),
            ("-C", str(root), "remote", "add", "origin", "https://github.com/octo-org/sample.git"),
        ):
            subprocess.run(["git", *command], check=True)
        return step_summary(root, "setup", "--offline")


def step_summary(folder: Path, *arguments: str) -> str:
    """Run a command as a step of a job, and return the step's summary."""
    page = folder / "summary.md"
    job = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    subprocess.run(
        [sys.executable, "-m", "attested_publish", *arguments],
        env={**os.environ, **job},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return page.read_text(encoding="utf-8")


def review() -> str:
    """Return the summary of a pull request that changes a lock."""
    with staged(Registry.open(), "release.yml") as (world, folder):
        stored = world.fill(parse_history(json.dumps(HISTORY)))
        base = folder / "base"
        base.mkdir()
        for place, versions in ((base, BEFORE), (folder, NOW)):
            text = "".join(entry(world, stored, *each) for each in versions.items())
            (place / "uv.lock").write_text(f'version = 1\nrequires-python = ">=3.11"\n{text}')
        settings = understand(
            {"mode": "verify", "lock": "uv.lock", "repository-url": world.upload_url}
        )
        run = Run("verify", settings, Recorder(Printer(Console(file=io.StringIO()))), mask)
        run.targets = Targets(Index.at(world.upload_url), world.trust_config)
        request = LockRequest((Path("uv.lock"),), base=base, uses_cache=False)
        found = []
        with contextlib.chdir(folder):
            carry_out(lambda: found.append(verify_locks(run, request)), run)
        return as_for_pypi(lock_summary(found[0], report_of(run), limit=1 << 20), world)


def entry(world: World, stored: Sequence[StoredFile], name: str, version: str) -> str:
    """Return what uv.lock has of a release."""
    wheels = "".join(
        f'    {{ url = "{each.filename}", hash = "sha256:{each.sha256}" }},\n'
        for each in stored
        if each.filename.startswith(f"{name.replace('-', '_')}-{version}-")
    )
    return (
        f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n'
        f'source = {{ registry = "{world.index_url}" }}\nwheels = [\n{wheels}]\n'
    )


@contextlib.contextmanager
def staged(registry: Registry, workflow: str) -> Iterator[tuple[World, Path]]:
    """Run services that answer about as fast as the real ones, and create an empty folder."""
    ref = f"{WORKFLOWS}/{workflow}@refs/tags/v1.0.0"
    overrides = {"environment": "pypi", "workflow_ref": ref, "job_workflow_ref": ref}
    latency = {"identity": 0.1, "certificate": 0.3, "log": 0.5, "upload": 0.6, "index": 0.1}
    with (
        tempfile.TemporaryDirectory() as folder,
        World(claims=job_claims({}, overrides), registry=registry, latency=latency) as world,
    ):
        yield world, Path(folder)


def summary_of(
    world: World, folder: Path, do: Callable[[Run], None] = publish.publish, mode: str = "publish"
) -> str:
    """Publish a folder to embedded services, and return the summary as for PyPI."""
    settings = understand({"packages-dir": str(folder), "repository-url": world.upload_url})
    printer = Printer(Console(file=io.StringIO()))
    run = Run(mode, settings, Recorder(printer), mask)
    run.targets = Targets(
        Index.at(world.upload_url),
        world.trust_config,
        ambient=world.ambient,
        is_identity_local=True,
    )
    carry_out(lambda: do(run), run)
    report = report_of(run)
    report.story.is_log_public = True
    return as_for_pypi(summary(report, limit=1 << 20), world)


def as_for_pypi(text: str, world: World) -> str:
    """Return a summary with PyPI's name and addresses instead of the embedded index's."""
    root = world.upload_url.removesuffix("/legacy/")
    # An address on loopback is no link.
    text = re.sub(f"`({re.escape(root)}[^`]*)`", r"<\1>", text)
    text = text.replace(f"{root}/legacy/", PYPI_UPLOAD_URL)
    return text.replace(root, "https://pypi.org").replace(root.partition("://")[2], "PyPI")


def page(text: str) -> str:
    """Return Markdown as an HTML page."""
    body = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}'


def photograph(html: str, picture: Path, chromium: str) -> None:
    """Let Chromium draw a page at its full height."""
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
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("names", nargs="*", help="which ones; without any, all")
    options = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    summaries: dict[str, Callable[[], str]] = {
        "two-files": lambda: done(2),
        "sixty-files": lambda: done(60),
        "failure": failure,
        "findings": findings,
        "review": review,
        "verify": verified,
        "setup": set_up,
    }
    for name in options.names or summaries:
        text = summaries[name]()
        picture = PICTURES / f"summary-{name}.png"
        photograph(page(text), picture, options.chromium)
        print(f"{picture}: {picture.stat().st_size} bytes")


if __name__ == "__main__":
    main()
