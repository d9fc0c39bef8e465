"""Run the action as a step of a job, and read what it leaves."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from attested_publish.console.github import GitHubPrinter
from attested_publish.fronts import action
from attested_publish.fronts.action import hand_over
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.outcome import report_of
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.environment import in_job, without_a_job
from support.paths import ROOT
from support.releases import deadlines, run_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attested_publish.problems import Topic
    from attested_publish.rehearsal.world import World
    from support.releases import Stage

ACTION = (sys.executable, str(ROOT / "entrypoint.py"))
"""What the action runs in the end."""


def job(world: World, folder: Path, **inputs: str) -> dict[str, str]:
    """Return the environment of a step that runs the action in this world."""
    temp = folder.parent / "runner"
    temp.mkdir(exist_ok=True)
    config = temp / "trust_config.json"
    config.write_text(world.trust_config)
    values = {
        "packages-dir": str(folder),
        "repository-url": world.upload_url,
        "sigstore-trust-config": str(config),
        **{name.replace("_", "-"): value for name, value in inputs.items()},
    }
    return {
        **without_a_job(),
        **world.environment,
        "NO_PROXY": "127.0.0.1",
        "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(temp / "output"),
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        **{f"INPUT_{name.upper()}": value for name, value in values.items()},
    }


def run_action(
    environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the step in a process of its own."""
    return subprocess.run(
        ACTION,
        cwd=cwd,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        encoding="utf-8",
    )


def outputs(environment: Mapping[str, str]) -> dict[str, str]:
    """Read step outputs as the runner does."""
    values = {}
    lines = iter(Path(environment["GITHUB_OUTPUT"]).read_text().splitlines())
    for line in lines:
        name, mark = line.split("<<")
        block = []
        for inner in lines:
            if inner == mark:
                break
            block.append(inner)
        values[name] = "\n".join(block)
    return values


@dataclass
class Outcome:
    """What a step left: its exit status, log, annotations, JSON report and summary.

    `errors` is what it printed to standard error, which the runner reads like the log.
    """

    status: int
    log: str
    report: dict[str, Any]
    summary: str
    errors: str = ""

    @property
    def annotations(self) -> list[tuple[str, dict[str, str], str]]:
        """Kind, properties and text of each annotation, as the runner reads them."""
        found = re.findall(r"^::(error|warning|notice)(?: (.*?))?::(.*)$", self.log, re.MULTILINE)
        return [
            (
                kind,
                {
                    name: unescaped(value)
                    for name, _, value in (pair.partition("=") for pair in given.split(",") if pair)
                },
                unescaped(text),
            )
            for kind, given, text in found
        ]

    def explains(self, topic: Topic, *words: str, file: str | None = None) -> str:
        """Hold that it failed with one problem, shown everywhere alike; return its text."""
        assert self.status == 1, self.log
        assert "Traceback" not in self.log
        (problem,) = self.report["problems"]
        text = f"{problem['title']}\n{problem['detail']}\n{problem['remedy']}"
        for word in words:
            assert word in text, text
        assert problem["remedy"]
        assert problem["file"] == file
        (annotation,) = [
            (given, told)
            for kind, given, told in self.annotations
            if kind == "error" and given.get("title") == problem["title"]
        ]
        given, told = annotation
        assert problem["detail"] in told
        assert problem["remedy"] in told
        assert topic.link in told
        assert (Path(given["file"]).name if file else None) == file
        assert problem["title"] in self.log
        assert topic.link in self.log
        assert topic.link in self.summary
        assert self.summary.startswith("## ❌")
        return text


def unescaped(text: str) -> str:
    for code, char in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, char)
    return text


@contextlib.contextmanager
def printed() -> Iterator[list[str]]:
    """Catch what a front prints to either stream; it wants real text streams."""
    caught: list[str] = []
    with _stream() as log, _stream() as errors:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(errors):
            yield caught
        for stream in (log, errors):
            stream.seek(0)
            caught.append(stream.read())


def _stream() -> io.TextIOWrapper:
    # With the line ends as they were printed.
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)


def act(stage: Stage, **inputs: str) -> Outcome:
    """Run the action as a step of a job of this world."""
    return act_in(job(stage.world, stage.folder, **inputs))


def act_in(environment: dict[str, str]) -> Outcome:
    """Run the action with this environment, in this process."""
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        Path(environment[name]).unlink(missing_ok=True)
    missing = {"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} - set(environment)
    with printed() as log, in_job(environment), without(missing):
        status = action.main(environment)
    return outcome_of(status, log[0], environment, errors=log[1])


def act_soon(stage: Stage, seconds: float = 0.6, **inputs: str) -> Outcome:
    """Run the same with seconds of patience instead of minutes."""
    environment = job(stage.world, stage.folder, **inputs)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        Path(environment[name]).unlink(missing_ok=True)
    settings = understand(action.inputs(environment))
    text = io.StringIO()
    targets = Targets(
        Index.at(settings.repository_url),
        stage.world.trust_config,
        deadlines=deadlines(seconds, answer=0.5),
    )
    run = run_to(
        targets,
        settings,
        Console(file=text, width=140),
        mode=settings.mode.value,
        kind=GitHubPrinter,
    )
    with in_job(environment):
        result = carry_out(lambda: publish.publish(run), run)
    hand_over(report_of(run), environment, run.printer.warning)
    return outcome_of(0 if result == "done" else 1, text.getvalue(), environment)


@contextlib.contextmanager
def without(names: set[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    yield
    os.environ.update(kept)


def outcome_of(status: int, log: str, environment: dict[str, str], *, errors: str = "") -> Outcome:
    output = Path(environment["GITHUB_OUTPUT"]).read_text()
    path = re.search(r"^report<<(.*)\n(.*)\n\1$", output, re.MULTILINE)
    assert path is not None
    summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    return Outcome(status, log, json.loads(Path(path[2]).read_text()), summary, errors)
