"""Open an issue if a workflow has failed, comment while it does, and close it afterwards.

    TITLE=… LABEL=… GUIDE=docs/page.md#section NEEDS=… python tools/workflow_issue.py

NEEDS has the results of the jobs, as GitHub's `toJSON(needs)`: `{"build": {"result": "success",
"outputs": {}}, …}`. A job's output `failures`, such as tools/canary_verify.py writes, is quoted.
Talks to GitHub with `gh` and the job's token. Needs nothing but Python. For
.github/actions/workflow-issue.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

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
    name = f"The workflow *{environment['GITHUB_WORKFLOW']}*"
    of = f"{environment['GITHUB_REF_NAME']}, commit {environment['GITHUB_SHA']}"
    if has_succeeded(needs):
        return f"{name} has succeeded again: {run}\n\n({of})\n"
    failed = [key for key, job in needs.items() if job["result"] not in {"success", "skipped"}]
    which = ", ".join(f"`{key}`" for key in failed) or "a job, which was skipped"
    jobs = "\n".join(f"| {key} | {job['result']} |" for key, job in needs.items())
    parts = [
        f"{name} has failed in {which}: {run}",
        f"({of})",
        f"| job | result |\n|---|---|\n{jobs}",
    ]
    if told := _told(needs):
        parts.append(_fenced(told))
    page = environment["GUIDE"].partition("#")[0]
    source = f"{environment['GITHUB_REPOSITORY']}/blob/{environment['GITHUB_SHA']}"
    guide = f"[{page}]({environment['GITHUB_SERVER_URL']}/{source}/{environment['GUIDE']})"
    parts.append(f"What to do: {guide}. The next run that succeeds closes this issue.")
    return "\n\n".join(parts) + "\n"


def _told(needs: Mapping[str, Any]) -> str:
    """Return what the jobs have found; empty if none got that far."""
    given = [(job.get("outputs") or {}).get("failures") for job in needs.values()]
    return "\n".join(_readable(failures) for failures in given if failures)[:_LIMIT]


def _readable(failures: str) -> str:
    try:
        lines = [f"✗ {each['what']}\n{each['said']}".rstrip() for each in json.loads(failures)]
    except (KeyError, TypeError, ValueError):
        lines = [failures]
    return "\n".join(lines)


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
    title, label = environment["TITLE"], environment["LABEL"]
    listed = _gh(
        *("issue", "list", *of, "--label", label, "--state", "open"),
        *("--limit", "100", "--json", "number,title"),
    )
    numbers = [str(each["number"]) for each in json.loads(listed) if each["title"] == title]
    text = text_of(needs, environment)
    print(text)
    for number in numbers[:1]:
        _gh("issue", "comment", number, *of, "--body-file", "-", text=text)
    if has_succeeded(needs):
        for number in numbers:
            _gh("issue", "close", number, *of, "--reason", "completed")
    elif not numbers:
        _make_label(label, environment["GITHUB_WORKFLOW"], *of)
        _gh(
            *("issue", "create", *of, "--title", title, "--label", label, "--body-file", "-"),
            text=text,
        )


def _make_label(label: str, workflow: str, *of: str) -> None:
    # Where there is one already, this fails, and leaves it as people like it.
    about = ("--description", f"The workflow {workflow} fails", "--color", "fbca04")
    try:
        _gh("label", "create", label, *of, *about)
    except subprocess.CalledProcessError:
        print(f"No new label {label!r}: it exists, or the next command says what is wrong.")


def main() -> None:
    """Report the results in NEEDS."""
    try:
        report(json.loads(os.environ["NEEDS"]), os.environ)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        # What it says has already been printed; the command line has no secret.
        sys.exit(f"gh could not report the result: {error}")


if __name__ == "__main__":
    main()
