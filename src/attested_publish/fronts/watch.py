"""`attested-publish verify PROJECT --watch-since VERSION`: who published everything since then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from packaging.version import Version

    from attested_publish.console.printer import Printer
    from attested_publish.consumer.expected import Expected
    from attested_publish.consumer.watch import Watched
    from attested_publish.settings import Settings


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the option to the parser of `verify`."""
    command.add_argument(
        "--watch-since",
        metavar="VERSION",
        help="of one PROJECT: verify that every file from this version on is from the expected "
        "publisher (by default, that of this version)",
    )


def faults_of(options: argparse.Namespace) -> list[str]:
    """Return a sentence for everything that does not go with this option."""
    from packaging.utils import InvalidName, canonicalize_name

    from attested_publish.rules.versions import parsed_version

    if options.watch_since is None:
        return []
    faults = []
    if parsed_version(options.watch_since) is None:
        faults.append(f"--watch-since is {shown(options.watch_since, 80)!r}: name a version.")
    if options.lock or options.pylock:
        faults.append("--watch-since goes with neither --lock nor --pylock.")
    try:
        (project,) = options.targets
        canonicalize_name(project, validate=True)
    except (ValueError, InvalidName):
        faults.append("--watch-since needs one PROJECT, without a version.")
    return faults


def run(options: argparse.Namespace, settings: Settings, project: str, expected: Expected) -> int:
    """Verify everything a project has released since a version. Returns 0: it is right, 1."""
    from packaging.version import Version

    from attested_publish.consumer.attested_files import AttestedFiles
    from attested_publish.consumer.persistence import Persistence
    from attested_publish.consumer.verified_cache import VerifiedCache
    from attested_publish.consumer.watch import watch
    from attested_publish.fronts.command_run import command_run
    from attested_publish.fronts.lock_run import prover_of
    from attested_publish.fronts.running import carry_out
    from attested_publish.fronts.step_summary import summarize
    from attested_publish.fronts.verify_summary import watch_summary
    from attested_publish.index.pages import Pages
    from attested_publish.journey.outcome import report_of
    from attested_publish.journey.targets import chosen
    from attested_publish.net.http import new_session
    from attested_publish.problems import Stage
    from attested_publish.report import Result

    run = command_run("verify", settings, verbose=options.verbose)
    fields = {
        "kind": expected.kind,
        "repository": expected.repository,
        "workflow": expected.workflow,
        "environment": expected.environment,
        "email": expected.email,
    }

    found: list[Watched] = []

    def work() -> None:
        run.targets = chosen(settings)
        prover = prover_of(run.targets.trust_config)
        index, deadlines = run.targets.index, run.targets.deadlines
        persistence = Persistence(index.name, deadlines.index, run.printer.waiting)
        since = Version(options.watch_since)
        with (
            new_session(read=deadlines.answer) as session,
            run.recorder.stage(Stage.VERIFICATION, f"{shown(project)} since {since}"),
        ):
            # Without a cache: whoever watches wants to see what the index serves today.
            means = AttestedFiles(index, session, prover, persistence, VerifiedCache(None))
            wanted = {name: value for name, value in fields.items() if value}
            found.extend(watch(project, since, wanted, Pages(index, session), means))
            means.check_root()
        _print(found, run.printer)
        is_good = not any(each.why_not for each in found)
        run.result = Result.DONE if is_good else Result.REFUSED

    result = carry_out(work, run)
    what = f"{project} since {options.watch_since}"
    summarize(lambda limit: watch_summary(what, found, report_of(run), limit), run.printer.warning)
    return 0 if result is Result.DONE else 1


def _print(found: Sequence[Watched], printer: Printer) -> None:
    by_version: dict[Version, list[Watched]] = {}
    for each in found:
        by_version.setdefault(each.version, []).append(each)
    for version, files in by_version.items():
        publishers = dict.fromkeys(str(identity) for each in files for identity in each.identities)
        count = counted(len(files), "file")
        note = f"{count}, by {', '.join(publishers) or 'nobody known'}"
        bad = [each for each in files if each.why_not]
        if not bad:
            printer.item(f"{version}", note)
            continue
        printer.warning(f"{version}  {note}")
        for each in bad:
            printer.detail(harmless(f"{shown(each.filename)}: {each.why_not}"))
    good = sum(not each.why_not for each in found)
    printer.notice(
        f"{good} of {counted(len(found), 'file')} in {counted(len(by_version), 'release')} "
        "are from the expected publisher."
    )
