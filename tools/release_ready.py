"""Check whether this commit may be released as a version: what release.yml does first.

    python tools/release_ready.py VERSION

Everything that is not as it should be is printed, and the exit status is then 1. It needs the
variables of a job on GitHub, and a GH_TOKEN with the permissions `actions: read` and
`contents: read`.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from changelog import UNRELEASED, Section, sections
from github_api import GitHubError, Repository

ROOT: Final = Path(__file__).parents[1]
ENVIRONMENTS: Final = ("release", "pypi")
"""Of the jobs that make something public: each has to be protected."""

_CI: Final = "ci.yml"
_IMAGE: Final = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*){2,}")
_FULL_VERSION: Final = re.compile(
    r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}((a|b|rc)(0|[1-9]\d*))?", re.ASCII
)


def wrong_in_the_files(version: str, folder: Path, today: dt.date) -> Iterator[str]:
    """Yield what does not agree with a version in the project's own files."""
    if not _FULL_VERSION.fullmatch(version):
        yield f"{version!r} is not a full version, such as 1.2.3 or 1.2.3rc1."
    metadata = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    if (found := metadata["project"]["version"]) != version:
        yield f"pyproject.toml has the version {found}."
    module = (folder / "src" / "attested_publish" / "__init__.py").read_text(encoding="utf-8")
    if f'__version__ = "{version}"' not in module.splitlines():
        yield "The package has another __version__."
    try:
        log = sections((folder / "CHANGELOG.md").read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"CHANGELOG.md has a heading with a wrong date: {error}."
    else:
        yield from _wrong_in_the_changelog(version, log, today)


def _wrong_in_the_changelog(version: str, log: list[Section], today: dt.date) -> Iterator[str]:
    for section in log:
        if section.version == UNRELEASED and section.text:
            yield f"CHANGELOG.md has changes under {UNRELEASED}: they belong to a version."
    released = [section for section in log if section.version != UNRELEASED]
    if not released or released[0].version != version:
        yield f"CHANGELOG.md has no section `## {version} - DATE` above all other versions."
    elif released[0].date is None:
        yield f"CHANGELOG.md has no date for {version}: `## {version} - {today}`."
    elif released[0].date > today:
        yield f"CHANGELOG.md has a date in the future for {version}: {released[0].date}."
    elif not released[0].text:
        yield f"CHANGELOG.md says nothing of {version}."


def wrong_in_the_repository(version: str, repository: Repository) -> Iterator[str]:
    """Yield what GitHub says against a release of the job's commit."""
    if not _IMAGE.fullmatch(os.environ.get("IMAGE", "")):
        yield "The variable IMAGE of the repository is not REGISTRY/OWNER/NAME, in lower case."
    default = repository.get("")["default_branch"]
    ref, commit = os.environ["GITHUB_REF"], os.environ["GITHUB_SHA"]
    if ref != f"refs/heads/{default}":
        yield f"The workflow runs on {ref}; releases are made from {default} only."
    elif repository.get(f"git/ref/heads/{default}")["object"]["sha"] != commit:
        yield f"{default} has moved since: start the workflow again."
    # The runner sets this for a branch with a protection rule or a ruleset.
    if os.environ.get("GITHUB_REF_PROTECTED") != "true":
        yield f"The branch {default} is not protected."
    if repository.find(f"git/ref/tags/v{quote(version, safe='')}") is not None:
        # Whoever may push could have made it. After this job it would be noticed only when the
        # version is on PyPI. A release that stopped on its way does not come by here again.
        yield f"There is a tag v{version} already: release the next version."
    # Not of a pull request: there, another branch may say what CI is.
    query = {"head_sha": commit, "branch": default, "event": "push", "status": "success"}
    passed = f"actions/workflows/{_CI}/runs?{urlencode(query)}&per_page=1"
    if not repository.get(passed)["total_count"]:
        yield f"{_CI} has not passed for {commit} on {default}."
    for name in ENVIRONMENTS:
        yield from _wrong_in_the_environment(name, default, repository)


def _wrong_in_the_environment(name: str, default: str, repository: Repository) -> Iterator[str]:
    environment = repository.find(f"environments/{name}")
    if environment is None:
        yield f"There is no environment {name}."
        return
    rules = {rule["type"]: rule for rule in environment.get("protection_rules", ())}
    review = rules.get("required_reviewers", {})
    if not review.get("reviewers"):
        yield f"The environment {name} has no required reviewers."
    elif not review.get("prevent_self_review"):
        yield f"The environment {name} lets people approve what they started themselves."
    if environment.get("can_admins_bypass", True):
        yield f"The environment {name} lets administrators bypass its rules."
    policy = environment.get("deployment_branch_policy")
    if policy is None:
        yield f"Any branch may use the environment {name}: allow {default} only."
    elif not policy["custom_branch_policies"]:
        # "Protected branches only" means rules of the old kind. A ruleset is none, and where no
        # branch has any, every branch may use the environment.
        yield f"The environment {name} is for protected branches: select {default} instead."
    else:
        listed = repository.get(f"environments/{name}/deployment-branch-policies?per_page=100")
        allowed = {(each.get("type", "branch"), each["name"]) for each in listed["branch_policies"]}
        if others := sorted(each for _, each in allowed - {("branch", default)}):
            yield f"The environment {name} is open to more than {default}: {', '.join(others)}."
        if ("branch", default) not in allowed:
            yield f"The environment {name} is not open to {default}."


def main() -> None:
    """Check, and print what is wrong."""
    version = re.sub(r"[^\x20-\x7e]", "?", " ".join(sys.argv[1:]))
    today = dt.datetime.now(dt.UTC).date()
    wrong = list(wrong_in_the_files(version, ROOT, today))
    try:
        wrong += wrong_in_the_repository(version, Repository())
    except GitHubError as error:
        wrong.append(str(error))
    for each in wrong:
        print(each, file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"{version} may be released.")


if __name__ == "__main__":
    main()
