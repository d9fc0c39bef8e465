"""Open an issue if the canary has failed, comment while it does, and close it afterwards.

    NEEDS='{"build": {"result": "success", "outputs": {}}, …}' python tools/canary_issue.py

NEEDS has the results of the jobs, as GitHub's `toJSON(needs)`. Talks to GitHub with `gh` and the
job's token. Needs nothing but Python. For .github/actions/canary-issue; docs/canary.md explains it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

TITLE: Final = "The canary on TestPyPI fails"
LABEL: Final = "canary"

_LIMIT: Final = 20_000
"""Characters of what has failed: GitHub takes 65,536 in all."""


def has_succeeded(needs: Mapping[str, Any]) -> bool:
    """Whether every job has done what it should; one that was skipped has not."""
    return bool(needs) and all(job["result"] == "success" for job in needs.values())


def text_of(needs: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Return the text of an issue or comment on a run: its address, and what has failed."""
    run = (
        f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}/actions/runs/"
        f"{environment['GITHUB_RUN_ID']}/attempts/{environment['GITHUB_RUN_ATTEMPT']}"
    )
    of = f"{environment['GITHUB_REF_NAME']}, commit {environment['GITHUB_SHA']}"
    if has_succeeded(needs):
        return f"The canary has succeeded again: {run}\n\n({of})\n"
    failed = [name for name, job in needs.items() if job["result"] not in {"success", "skipped"}]
    which = ", ".join(f"`{name}`" for name in failed) or "a job, which was skipped"
    jobs = "\n".join(f"| {name} | {job['result']} |" for name, job in needs.items())
    parts = [
        f"The canary has failed in {which}: {run}",
        f"({of})",
        f"| job | result |\n|---|---|\n{jobs}",
    ]
    if told := _told(needs):
        parts.append(_fenced(told))
    guide = f"{environment['GITHUB_REPOSITORY']}/blob/{environment['GITHUB_SHA']}/docs/canary.md"
    parts.append(
        f"What to do: [docs/canary.md]({environment['GITHUB_SERVER_URL']}/{guide}#when-it-fails). "
        "The next run that succeeds closes this issue."
    )
    return "\n\n".join(parts) + "\n"


def _told(needs: Mapping[str, Any]) -> str:
    """Return what the job `verify` has found; empty if it did not get that far."""
    given = needs.get("verify", {}).get("outputs", {}).get("failures", "")
    if not given:
        return ""
    try:
        found = json.loads(given)
        lines = [f"✗ {each['what']}\n{each['said']}".rstrip() for each in found]
    except (KeyError, TypeError, ValueError):
        lines = [str(given)]
    return "\n".join(lines)[:_LIMIT]


def _fenced(text: str) -> str:
    """Return a block in which nothing is markup or mentions anybody, whatever it contains."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _gh(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["gh", *arguments],
        input=text or "",
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    return done.stdout


def report(needs: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Open, comment on or close the issue. Raises `subprocess.CalledProcessError`."""
    of = ("--repo", environment["GITHUB_REPOSITORY"])
    listed = _gh(
        *("issue", "list", *of, "--label", LABEL, "--state", "open"),
        *("--limit", "100", "--json", "number,title"),
    )
    numbers = [str(each["number"]) for each in json.loads(listed) if each["title"] == TITLE]
    text = text_of(needs, environment)
    print(text)
    for number in numbers[:1]:
        _gh("issue", "comment", number, *of, "--body-file", "-", text=text)
    if has_succeeded(needs):
        for number in numbers:
            _gh("issue", "close", number, *of, "--reason", "completed")
    elif not numbers:
        _make_label(*of)
        _gh(
            "issue",
            "create",
            *of,
            "--title",
            TITLE,
            "--label",
            LABEL,
            "--body-file",
            "-",
            text=text,
        )


def _make_label(*of: str) -> None:
    # Where there is one already, this fails, and leaves it as people like it.
    about = ("--description", "The nightly release to TestPyPI", "--color", "fbca04")
    try:
        _gh("label", "create", LABEL, *of, *about)
    except subprocess.CalledProcessError:
        print(f"No new label {LABEL!r}: it exists, or the next command says what is wrong.")


def main() -> None:
    """Report the results in NEEDS."""
    try:
        report(json.loads(os.environ["NEEDS"]), os.environ)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        # What it says has already been printed; the command line has no secret.
        sys.exit(f"gh could not report the result: {error}")


if __name__ == "__main__":
    main()
