"""What is imported before a command is at work: nobody waits for what is not needed yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attested_publish.fronts.cli import _MODES
from attested_publish.settings import Mode
from support.environment import without_a_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.releases import Stage

SIGNING = {
    "sigstore",
    "pypi_attestations",
    "twine",
    "tuf",
    "pydantic",
    "cryptography",
    "id.detect",
    "attested_publish.journey.deliver",
    "attested_publish.attestations.verify",
}
"""What only signing and uploading need."""

NETWORK = SIGNING | {
    "requests",
    "urllib3",
    "http.client",
    "ssl",
    "email.message",
    "tenacity",
    "id",
    "jwt",
    "attested_publish.net.http",
    "attested_publish.identity.tokens",
    "attested_publish.index.pages",
}
"""What only a run needs that uses the network."""

RULES = {
    "packaging.metadata",
    "packaging.requirements",
    "rfc3986",
    "readme_renderer",
    "docutils",
    "email_validator",
    "attested_publish.rules.checks",
    "attested_publish.rules.questions",
}
"""What only the child processes need."""

RUN = {
    "attested_publish.journey",
    "attested_publish.console",
    "attested_publish.distributions",
    "rich",
    "logging",
    "subprocess",
    "tempfile",
    "packaging",
    "concurrent.futures",
    "attested_publish.sandbox",
}
"""What every run needs, but nobody who has called it wrongly."""

VALUES = {
    "dataclasses",
    "inspect",
    "typing",
    "json",
    "attested_publish.settings",
    "attested_publish.net.secrecy",
}
"""What settings are understood with."""

PROGRAM = """
import sys

def say(event, _arguments):
    if event in ("subprocess.Popen", "socket.connect"):
        sys.stderr.write(f"event: {event}\\n")

sys.addaudithook(say)

from attested_publish.__main__ import main
main()
"""


def events(*arguments: str | Path, status: int, **environment: str) -> list[str]:
    """Run the command; return the modules in the order in which they were imported.

    Between them, where it happened, are `event: subprocess.Popen` and `event: socket.connect`.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", PROGRAM, *map(str, arguments)],
        env={**without_a_job(), "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return [
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith(("import time:", "event: "))
    ]


def before(event: str, order: Sequence[str]) -> set[str]:
    """Return what was imported before an event that did happen."""
    return set(order[: order.index(f"event: {event}")])


def imported_by(program: str) -> set[str]:
    """Return what Python itself imports to run a program."""
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", program],
        env=without_a_job(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_what_lists_the_commands_imports_the_parser_alone() -> None:
    # From 3.14 on, argparse has colors, and they are dataclasses.
    imported = set(events("--help", status=0)) - imported_by(
        "import argparse; argparse.ArgumentParser().print_help()"
    )
    assert not imported & (NETWORK | RULES | RUN | VALUES)
    assert {each for each in imported if each.startswith("attested_publish.")} == {
        "attested_publish.__main__",
        "attested_publish.fronts",
        "attested_publish.fronts.cli",
        "attested_publish.fronts.guard",
        "attested_publish.net",
        "attested_publish.net.stopping",
    }


def test_the_modes_of_the_parser_are_those_of_the_settings() -> None:
    # Locks are verified with the command `verify`, which has options of its own.
    assert [*_MODES, Mode.VERIFY] == list(Mode)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", "--help"], 0),
        (["publish", "--no-such-option"], 2),
        (["no-such-command"], 2),
        (["publish", "--confirm", "perhaps"], 2),
    ],
)
def test_what_never_becomes_a_run_imports_none(arguments: list[str], status: int) -> None:
    imported = set(events(*arguments, status=status))
    assert not imported & (NETWORK | RULES)
    assert not imported & {"rich", "attested_publish.journey.run"}


@pytest.mark.parametrize("mode", ["publish", "check", "attest"])
def test_a_folder_that_is_not_there_starts_nothing(mode: str, tmp_path: Path) -> None:
    order = events(mode, tmp_path / "nowhere", status=1)
    assert not set(order) & (NETWORK | RULES)
    assert not [each for each in order if each.startswith("event: ")]


def test_a_check_without_a_network_imports_none(dist: Path) -> None:
    order = events("check", "--offline", dist, status=0)
    assert not set(order) & (NETWORK | RULES)
    assert "event: socket.connect" not in order
    # The child has most to import, and does so while this process imports the rest.
    assert not before("subprocess.Popen", order) & {"rich", "attested_publish.journey"}


def test_a_release_starts_its_child_and_asks_the_index_before_it_can_sign(
    stage: Stage, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(stage.world.trust_config)
    order = events(
        *("publish", stage.folder, "--repository-url", stage.world.upload_url),
        *("--sigstore-trust-config", config),
        status=0,
        **stage.world.environment,
    )
    assert not before("subprocess.Popen", order) & (NETWORK | RULES | {"rich"})
    # By then the import of sigstore may have begun in the background.
    assert "twine" not in before("socket.connect", order)
    assert set(order) >= {"sigstore", "twine", "pypi_attestations"}, "they are needed, later"
