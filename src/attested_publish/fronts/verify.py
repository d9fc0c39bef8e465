"""`attested-publish verify`: check that files on an index are from the right publisher."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attested_publish.console.output import Output
from attested_publish.fronts import verify_lock, watch
from attested_publish.fronts.standard_output import hand_out
from attested_publish.fronts.switches import add_verbose
from attested_publish.net.addresses import PYPI_UPLOAD_URL, BadAddress
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.untrusted import shown
from attested_publish.net.upload_addresses import for_upload, well_known
from attested_publish.settings import Settings, WrongUsage, gathering, understand

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version

    from attested_publish.console.printer import Printer
    from attested_publish.consumer.comparison import Comparison
    from attested_publish.consumer.expected import Expected
    from attested_publish.consumer.verdict import Release, Verdict
    from attested_publish.consumer.verify import Verification
    from attested_publish.journey.run import Run

_DESCRIPTION = """\
Verify what an index serves: the bytes of each file, its attestations (PEP 740), and that
they were made by the publisher you expect.

PROJECT means its latest release, PROJECT==VERSION a specific one: its files are downloaded
and hashed, but not stored. FILE is a wheel or an sdist you have: its bytes are compared with
the provenance that the index serves for its name. Without --repository, --workflow,
--environment or --email, any publisher with valid attestations is accepted: the table shows
which one it is.

What the index's page says of the release's provenance is reported, too, and whether the publisher
differs from that of the previous release.

exit status: 0: everything is valid, 1: something is not, 2: wrong usage"""

_EXAMPLE = """\
examples:
  attested-publish verify sampleproject==4.0.0 --repository pypa/sampleproject
  attested-publish verify dist/*.whl --repository octo-org/sample --workflow release.yml
  attested-publish verify sampleproject --pylock >> pylock.toml"""


_PROVIDERS = {"github.com": "GitHub", "gitlab.com": "GitLab"}
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_NAME = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)+", re.ASCII)
_REPOSITORY = re.compile(
    r"(?:(?:git\+)?(?:https?|ssh|git)://(?:[^\s/@]*@|www\.)?|git@)?(?P<host>github\.com|gitlab\.com)"
    r"[/:](?P<path>[^?#@]*)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Targets:
    """What to verify: releases (without a version, the latest one), and local files."""

    releases: tuple[tuple[str, Version | None], ...]
    files: tuple[Path, ...]


class Verified(NamedTuple):
    """A release, what became of its files, and how it compares with the one before."""

    release: Release
    verdicts: Sequence[Verdict]
    comparison: Comparison


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the description and the options to the command's parser."""
    command.description = _DESCRIPTION
    command.epilog = _EXAMPLE
    command.add_argument(
        "targets", nargs="*", metavar="PROJECT[==VERSION] | FILE", help="what to verify"
    )
    _add_expectations(command)
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
        help="print the attestation-identities entries for a pylock.toml (PEP 751) of valid files "
        "to standard output, and everything else to standard error",
    )
    verify_lock.add_to(command)
    watch.add_to(command)
    add_verbose(command)


def _add_expectations(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        help="the repository that should have published, or its address on GitHub or GitLab",
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
    command.add_argument(
        "--commit",
        metavar="SHA",
        help="the commit that the job should have run on, whole or its first 7 digits or more",
    )
    command.add_argument(
        "--ref",
        metavar="REF",
        help="the git ref that the job should have run on: refs/tags/v1.0, or just v1.0 for a tag "
        "or branch of that name",
    )
    command.add_argument(
        "--tag-version",
        action="store_true",
        help="the job should have run on a tag that names the version of the release",
    )


def run(options: argparse.Namespace) -> int:
    """Verify. Returns 0: everything is valid, 1: something is not; raises `WrongUsage`."""
    targets, settings, expected = _understood(options)
    if options.lock:
        return verify_lock.run(options, settings)
    if options.watch_since is not None:
        return watch.run(options, settings, targets.releases[0][0], expected)
    from attested_publish.fronts.command_run import command_run
    from attested_publish.fronts.running import carry_out
    from attested_publish.fronts.step_summary import summarize
    from attested_publish.fronts.verify_summary import verify_summary
    from attested_publish.journey.outcome import report_of
    from attested_publish.journey.targets import chosen
    from attested_publish.report import Result

    output = Output(sys.stderr, "standard error") if options.pylock else None
    run = command_run("verify", settings, verbose=options.verbose, output=output)
    found: list[Verified] = []

    def work() -> None:
        run.targets = chosen(settings)
        found.extend(verify(run, targets, expected))
        if options.pylock and (why_not := hand_out(pylock_entries(found))):
            run.printer.warning(f"The entries could not be written to standard output: {why_not}.")
            run.result = Result.FAILED

    result = carry_out(work, run)
    summarize(
        lambda limit: verify_summary(
            [verdict for each in found for verdict in each.verdicts],
            [each.comparison for each in found],
            report_of(run),
            limit,
            expects=bool(expected),
        ),
        run.printer.warning,
    )
    return 0 if result is Result.DONE else 1


def _understood(options: argparse.Namespace) -> tuple[Targets, Settings, Expected]:
    """Return what to verify, where, and whom to expect; raises one `WrongUsage` for all faults."""
    from attested_publish.consumer.expected import Expected

    faults = [*verify_lock.faults_of(options), *watch.faults_of(options)]
    if not options.targets and not options.lock:
        faults.append("Name what to verify: PROJECT[==VERSION], FILE, or a lock with --lock.")
    targets, settings, expected = Targets((), ()), Settings(), Expected()
    with gathering(faults):
        targets = read_targets(options.targets)
    faults += [
        f"--{name} is empty: give the value you expect, or leave it out."
        for name in ("repository", "workflow", "environment", "email", "commit", "ref")
        if getattr(options, name) == ""
    ]
    with gathering(faults):
        kind, repository = read_repository(options.repository)
        expected = Expected(
            kind=kind,
            repository=repository,
            workflow=options.workflow,
            environment=options.environment,
            email=options.email,
            commit=_commit(options.commit),
            ref=options.ref,
            tag_version=options.tag_version,
        )
    with gathering(faults):
        settings = understand(
            {
                "repository-url": _upload_url(options.index_url, options.repository_url),
                "sigstore-trust-config": options.sigstore_trust_config or "",
            }
        )
    if len(settings.repository_urls) > 1:
        faults.append("verify uses one index, but --repository-url lists several.")
    if faults:
        raise WrongUsage(*faults)
    return targets, settings, expected


def read_repository(text: str | None) -> tuple[str | None, str | None]:
    """Return the provider, if it is known, and the name of a repository or an address of one.

    Raises `WrongUsage`, also for the address of an index, which other options are for.
    """
    text = text.strip() if text else text
    if not text:
        return None, text
    if _NAME.fullmatch(text) and not text.lower().startswith(tuple(_PROVIDERS)):
        return None, text
    quoted = repr(shown(without_credentials(text), 200))
    match = _REPOSITORY.fullmatch(text)
    host = match["host"].lower() if match else ""
    path = match["path"].strip("/").removesuffix(".git") if match else ""
    if match and _NAME.fullmatch(path) and (host != "github.com" or path.count("/") == 1):
        return _PROVIDERS[host], path
    if match is None and ("/" not in text or text.rstrip("/").endswith(("/simple", "/legacy"))):
        raise WrongUsage(
            f"--repository is {quoted}, but it is for the repository that should have published, "
            "as OWNER/NAME; an index is given with --index-url (its address ends in /simple/) or "
            "--repository-url (its upload address)."
        )
    raise WrongUsage(
        f"--repository is {quoted}; it must be OWNER/NAME, or the address of a repository, such as "
        "https://github.com/OWNER/NAME or https://gitlab.com/GROUP/NAME."
    )


def _commit(text: str | None) -> str | None:
    """Return a commit to expect; raises `WrongUsage` for what can be none."""
    if text and not _COMMIT.fullmatch(text):
        raise WrongUsage(
            f"--commit is {shown(text, 100)!r}; it must be a commit's SHA, or at least its first 7 "
            "digits."
        )
    return text


def verify(run: Run, targets: Targets, expected: Expected) -> list[Verified]:
    """Verify releases and files, print the verdicts, and set the run's result by them.

    Raises a `Problem` if the index or the Sigstore instance cannot be reached.
    """
    from attested_publish.attestations.verify import load_trust
    from attested_publish.consumer.verify import Verification
    from attested_publish.fronts.verdicts import print_comparison, print_verdicts
    from attested_publish.net.http import new_session
    from attested_publish.problems import Stage
    from attested_publish.report import Result

    # Before any request: without it there is nothing to verify the answers with.
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
                print_comparison(comparison, run.printer)
            found.append(Verified(release, verdicts, comparison))
    every = [verdict for each in found for verdict in each.verdicts]
    print_verdicts(every, expected, run.printer)
    is_good = all(verdict.is_good for verdict in every)
    run.result = Result.DONE if is_good else Result.REFUSED
    return found


def read_targets(texts: Sequence[str]) -> Targets:
    """Separate projects from files, by how they are written. Raises `WrongUsage`."""
    releases, files = [], []
    faults: list[str] = []
    for text in texts:
        with gathering(faults):
            if text.endswith((".whl", ".tar.gz", ".zip")) or "/" in text or "\\" in text:
                if not Path(text).is_file():
                    raise WrongUsage(f"{shown(text, 200)} does not exist, or is not a file.")
                files.append(Path(text))
                continue
            releases.append(_release(text))
    if faults:
        raise WrongUsage(*faults)
    return Targets(tuple(releases), tuple(files))


def _release(text: str) -> tuple[str, Version | None]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        requirement = None
    if requirement is None or requirement.extras or requirement.marker or requirement.url:
        raise WrongUsage(f"{shown(text, 200)!r} is neither a file nor PROJECT[==VERSION].")
    return canonicalize_name(requirement.name), _version(requirement, text)


def pylock_entries(found: Sequence[Verified]) -> str:
    """Return the publishers of valid files in the TOML form of PEP 751.

    They belong below the `[[packages]]` entry of their project, which a comment names. The
    keys are those of the publisher in the provenance.
    """
    from attested_publish.attestations.verify import publisher_fields

    parts = []
    for release, verdicts, _ in found:
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
        raise WrongUsage("--index-url contains credentials, which verify does not use.")
    quoted = repr(shown(index_url, 200))
    root = index_url.rstrip("/")
    meant = well_known(index_url)
    if meant is not None:
        if root.lower() != meant.simple_url.rstrip("/"):
            raise WrongUsage(
                f"--index-url is {quoted}, but {meant.name} serves packages at {meant.simple_url}."
            )
        return meant.upload_url
    if not root.endswith("/simple"):
        raise WrongUsage("--index-url must be the address of a simple API, ending in /simple/.")
    upload_url = f"{root.removesuffix('/simple')}/legacy/"
    try:
        for_upload(upload_url)
    except BadAddress as why:
        raise WrongUsage(f"--index-url is {quoted}, but {why}.") from why
    return upload_url


def _version(requirement: Requirement, text: str) -> Version | None:
    from attested_publish.rules.versions import parsed_version

    specifiers = list(requirement.specifier)
    if not specifiers:
        return None
    if len(specifiers) == 1 and specifiers[0].operator == "==":
        version = parsed_version(specifiers[0].version)
        if version is not None:
            return version
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
