"""What launch.sh does with Docker, as far as it can be read; e2e_container.py tries it."""

from __future__ import annotations

import re

from support.paths import ROOT

# A command of docker's where a command can stand, with what stands before it.
_DOCKER = re.compile(
    r"(?:^|[({;&|!]|\b(?:then|do|else))\s*(?P<bound>timeout [-\w ]+ )?docker (?P<what>\w+)"
)


def test_an_engine_that_hangs_does_not_hold_up_the_job() -> None:
    lines = (ROOT / "launch.sh").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if not line.lstrip().startswith("#")]
    called = [match for line in code for match in _DOCKER.finditer(line)]
    assert {match["what"] for match in called} >= {"info", "pull", "build"}
    assert [match[0] for match in called if not match["bound"]] == []
