"""`attested-publish verify`: say of files on an index whether the right publisher made them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import KINDS
from attested_publish.console.output import Output
from attested_publish.net.addresses import PYPI_UPLOAD_URL
from attested_publish.net.untrusted import harmless, shown
from attested_publish.settings import WrongUsage, understand

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version
    from rich.console import Console

    from attested_publish.console.printer import Printer
    from attested_publish.consumer.verify import (
        Comparison,
        Expected,
        Release,
        Verdict,
        Verification,
    )
    from attested_publish.journey.run import Run

SUMMARY = "verify the provenance of files on an index against an expected publisher"

_DESCRIPTION = """\
Verify what an index serves: the bytes of each file, its attestations (PEP 740), and that
they were made by the publisher you expect.

PROJECT is its latest release, PROJECT==VERSION a certain one: its files are downloaded and
hashed, and kept nowhere. FILE is a wheel or an sdist you have: its bytes are held against
the provenance that the index serves for its name. Without --repository, --workflow,
--environment or --email any publisher is right whose attestations hold: see who it is in
the table.

It is also told when a release has another publisher than the one before it.

exit status: 0: everything holds, 1: something does not, 2: wrong usage"""

_EXAMPLE = """\
examples:
  attested-publish verify sampleproject==4.0.0 --repository pypa/sampleproject
  attested-publish verify dist/*.whl --repository octo-org/sample --workflow release.yml
  attested-publish verify sampleproject --pylock >> pylock.toml"""


@dataclass(frozen=True)
class Targets:
    """What is to be verified: releases (the latest one without a version), and own files."""

    releases: tuple[tuple[str, Version | None], ...]
    files: tuple[Path, ...]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "verify",
        help=SUMMARY,
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "targets", nargs="+", metavar="PROJECT[==VERSION] | FILE", help="what is verified"
    )
    command.add_argument(
        "--repository", metavar="OWNER/NAME", help="the repository that should have published"
    )
    command.add_argument(
        "--workflow",
        metavar="FILE",
        help="the workflow file (of GitLab: the path of the CI/CD configuration) that should "
        "have published",
    )
    command.add_argument(
        "--environment", metavar="NAME", help="the environment that should have published"
    )
    command.add_argument(
        "--email",
        metavar="ADDRESS",
        help="the service account of Google Cloud that should have published",
    )
    index = command.add_mutually_exclusive_group()
    index.add_argument(
        "--index-url", metavar="URL", help="the index, by the address of its simple API (…/simple/)"
    )
    index.add_argument(
        "--repository-url",
        metavar="URL",
        help=f"the index, by its upload address (default: {PYPI_UPLOAD_URL})",
    )
    command.add_argument(
        "--sigstore-trust-config",
        metavar="FILE",
        help="ClientTrustConfig JSON of a private Sigstore (default: the public one)",
    )
    command.add_argument(
        "--pylock",
        action="store_true",
        help="print the attestation-identities entries for a pylock.toml (PEP 751) of what holds "
        "to the standard output, and everything else to the standard error",
    )
    command.add_argument("--verbose", action="store_true", help="tell more, tracebacks included")


def run(options: argparse.Namespace, console: Console) -> int:
    """Verify. Returns 0: everything holds, 1: something does not; raises `WrongUsage`."""
    targets = read_targets(options.targets)
    for name in ("repository", "workflow", "environment", "email"):
        if getattr(options, name) == "":
            raise WrongUsage(f"--{name} is empty: say whom you expect, or leave it out.")
    upload_url = _upload_url(options.index_url, options.repository_url)
    settings = understand(
        {
            "repository-url": upload_url,
            "sigstore-trust-config": options.sigstore_trust_config or "",
        }
    )
    if len(settings.repository_urls) > 1:
        raise WrongUsage("verify asks one index, but --repository-url lists several.")
    from attested_publish.console.mask import mask
    from attested_publish.console.printer import Printer
    from attested_publish.console.recorder import Recorder
    from attested_publish.fronts.running import carry_out, mask_secrets
    from attested_publish.journey.run import Run
    from attested_publish.journey.targets import chosen
    from attested_publish.report import Result

    if options.pylock:
        console.file = Output(sys.stderr, "standard error")  # type: ignore[assignment] # see cli
    mask_secrets(mask, settings, os.environ)
    printer = Printer(console, verbose=options.verbose)
    run = Run("verify", settings, Recorder(printer), mask)

    def work() -> None:
        from attested_publish.consumer.verify import Expected

        expected = Expected(
            options.repository, options.workflow, options.environment, options.email
        )
        run.targets = chosen(settings)
        found = verify(run, targets, expected)
        if options.pylock and (why_not := _hand_out(pylock_entries(found))):
            printer.warning(f"The entries could not be written to standard output: {why_not}.")
            run.result = Result.FAILED

    return 0 if carry_out(work, run) is Result.DONE else 1


def _hand_out(text: str) -> str:
    """Write what was asked for; return why that cannot be, empty where it could."""
    if sys.stdout is None:
        return "it is closed"
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "it is closed"
    return ""


def verify(run: Run, targets: Targets, expected: Expected) -> list[tuple[Release, list[Verdict]]]:
    """Verify releases and files, print the verdicts, and set the run's result by them.

    Raises a `Problem` where the index or the Sigstore cannot be asked.
    """
    from attested_publish.attestations.verify import load_trust
    from attested_publish.consumer.verify import Verification
    from attested_publish.net.http import new_session
    from attested_publish.problems import Stage
    from attested_publish.report import Result

    # Before anything is asked: without it there is nothing to hold the answers against.
    run.recorder.current = Stage.VERIFICATION
    trust = load_trust(run.targets.trust_config)
    with new_session(read=run.targets.deadlines.answer) as session:
        verification = Verification(
            index=run.targets.index,
            session=session,
            verifier=trust.verifier,
            patience=run.targets.deadlines.index,
            tell=run.printer.waiting,
        )
        with run.recorder.stage(Stage.INDEX, f"what {run.targets.index.name} serves"):
            releases = _found(targets, verification, run.printer)
        found = []
        for release in releases:
            doing = f"{shown(release.project)} {release.version}"
            with run.recorder.stage(Stage.VERIFICATION, doing):
                verdicts = verification.verdicts(release, expected)
                comparison = verification.comparison(release, verdicts)
                _print_comparison(comparison, run.printer)
            found.append((release, verdicts))
    _print_verdicts(found, expected, run.printer)
    is_good = all(verdict.is_good for _, verdicts in found for verdict in verdicts)
    run.result = Result.DONE if is_good else Result.REFUSED
    return found


def read_targets(texts: Sequence[str]) -> Targets:
    """Tell projects from files, which are written like files. Raises `WrongUsage`."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    releases, files = [], []
    for text in texts:
        if text.endswith((".whl", ".tar.gz", ".zip")) or "/" in text or "\\" in text:
            if not Path(text).is_file():
                raise WrongUsage(f"{shown(text, 200)} is not there, or is no file.")
            files.append(Path(text))
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            requirement = None
        if requirement is None or requirement.extras or requirement.marker or requirement.url:
            raise WrongUsage(f"{shown(text, 200)!r} is neither a file nor PROJECT[==VERSION].")
        releases.append((canonicalize_name(requirement.name), _version(requirement, text)))
    return Targets(tuple(releases), tuple(files))


def pylock_entries(found: Sequence[tuple[Release, list[Verdict]]]) -> str:
    """Return the publishers of what holds as PEP 751 records them, in TOML.

    They go below the `[[packages]]` entry of their project, which a comment names. The
    keys are those of the publisher in the provenance.
    """
    from attested_publish.attestations.verify import publisher_fields

    parts = []
    for release, verdicts in found:
        entries = dict.fromkeys(
            "".join(
                f"{name} = {_toml_string(value)}\n"
                for name, value in publisher_fields(publisher).items()
            )
            for verdict in verdicts
            if verdict.is_good
            for publisher in verdict.publishers
        )
        parts += [
            f"# {release.project} {release.version}\n[[packages.attestation-identities]]\n{entry}\n"
            for entry in entries
        ]
    return "".join(parts)


def _toml_string(text: str) -> str:
    # Without control characters, JSON's strings are basic strings of TOML.
    return json.dumps(shown(text), ensure_ascii=False)


def _upload_url(index_url: str | None, repository_url: str | None) -> str:
    if index_url is None:
        return repository_url or PYPI_UPLOAD_URL
    if "@" in index_url.partition("://")[2].partition("/")[0]:
        raise WrongUsage("--index-url has credentials, which verify does not use.")
    root = index_url.rstrip("/")
    if not root.endswith("/simple"):
        raise WrongUsage("--index-url is the address of a simple API; it ends in /simple/.")
    return f"{root.removesuffix('/simple')}/legacy/"


def _version(requirement: Requirement, text: str) -> Version | None:
    from packaging.version import InvalidVersion, Version

    specifiers = list(requirement.specifier)
    if not specifiers:
        return None
    if len(specifiers) == 1 and specifiers[0].operator == "==":
        try:
            return Version(specifiers[0].version)
        except InvalidVersion:
            pass
    raise WrongUsage(f"{shown(text, 200)!r} does not name one version: PROJECT==VERSION.")


def _found(targets: Targets, verification: Verification, printer: Printer) -> list[Release]:
    releases = verification.of_files(targets.files)
    for project, version in targets.releases:
        releases.append(verification.of_project(project, version))
    for release in releases:
        printer.item(
            f"{shown(release.project)} {release.version}", f"{len(release.wanted)} to verify"
        )
    return releases


def _print_comparison(comparison: Comparison, printer: Printer) -> None:
    from attested_publish.consumer.verify import publisher_text

    now = " and ".join(publisher_text(publisher) for publisher in comparison.now)
    then = " and ".join(publisher_text(publisher) for publisher in comparison.then)
    if comparison.before is None:
        printer.notice("No earlier release is there to compare the publisher with.")
    elif not then:
        printer.notice(f"The release before, {comparison.before}, has no attestations that hold.")
    elif comparison.has_changed:
        printer.warning(
            f"The publisher has changed: {comparison.before} is by {then}; this release by {now}."
        )
    elif now:
        printer.item(f"the same publisher as of {comparison.before}")


def _print_verdicts(
    found: Sequence[tuple[Release, list[Verdict]]], expected: Expected, printer: Printer
) -> None:
    """Print the table of files, and why each that does not hold does not."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from attested_publish.consumer.verify import publisher_text

    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    for column in ("file", "published by"):
        table.add_column(column, overflow="fold")
    table.add_column("statements", no_wrap=True)
    table.add_column("log", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    verdicts = [verdict for _, several in found for verdict in several]
    for verdict in verdicts:
        publishers = [publisher_text(publisher) for publisher in verdict.publishers]
        mark, style = ("✓ holds", "green") if verdict.is_good else ("✗ does not", "bold red")
        cells = (
            shown(verdict.wanted.filename),
            ", ".join(publishers) or "-",
            ", ".join(KINDS.get(kind, kind) for kind in verdict.predicate_types) or "-",
            ", ".join(f"#{index}" for index in verdict.log_indexes) or "-",
        )
        table.add_row(*(Text(harmless(cell)) for cell in cells), Text(mark, style))
    printer.table(table)
    for verdict in verdicts:
        if not verdict.is_good:
            printer.warning(f"{shown(verdict.wanted.filename)}: {verdict.why_not}")
    good = sum(verdict.is_good for verdict in verdicts)
    whom = "the publisher expected" if expected else "the publisher that the table names"
    printer.notice(f"{good} of {len(verdicts)} files hold, for {whom}.")
