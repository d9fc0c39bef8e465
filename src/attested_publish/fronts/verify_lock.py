"""`attested-publish verify --lock`: who publishes the packages of a lock, and if that changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    import argparse

    from attested_publish.fronts.lock_run import LockRequest
    from attested_publish.settings import Settings

_OF_LOCKS = ("against", "against_git", "policy", "report", "write", "no_cache")
_OF_RELEASES = ("repository", "workflow", "environment", "email", "pylock")


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the options for locks to the parser of `verify`."""
    locks = command.add_argument_group("locks")
    locks.add_argument(
        "--lock",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="pylock.toml, uv.lock, poetry.lock, pdm.lock, Pipfile.lock, or requirements with "
        "hashes: verify all of its packages",
    )
    against = locks.add_mutually_exclusive_group()
    against.add_argument(
        "--against", type=Path, metavar="FILE", help="the lock to compare with, such as the old one"
    )
    against.add_argument(
        "--against-git", metavar="REF", help="compare with the same lock in a Git revision"
    )
    locks.add_argument(
        "--policy", type=Path, metavar="FILE", help="who should publish which project (TOML)"
    )
    locks.add_argument("--report", type=Path, metavar="FILE", help="write a JSON report")
    locks.add_argument(
        "--write",
        action="store_true",
        help="pin the verified publishers in the policy, or in a pylock.toml",
    )
    locks.add_argument(
        "--no-cache", action="store_true", help="verify what an earlier run has verified, too"
    )


def faults_of(options: argparse.Namespace) -> list[str]:
    """Return a sentence for each option that does not go with the others."""
    faults = []
    if options.lock and options.targets:
        faults.append("With --lock, name no projects or files: the lock names them.")
    given = _OF_RELEASES if options.lock else _OF_LOCKS
    for name in given:
        if getattr(options, name, None) not in {None, False}:
            option = f"--{name.replace('_', '-')}"
            faults.append(
                f"{option} is not for locks: expected publishers are in the file of --policy."
                if options.lock
                else f"{option} is for locks: name one with --lock."
            )
    faults += [
        f"--{name.replace('_', '-')} is empty."
        for name in ("lock", "against", "against_git", "policy")
        for value in [getattr(options, name)]
        if value == "" or (name == "lock" and any(str(each) in {"", "."} for each in value or ()))
    ]
    if (options.against_git or "").startswith("-"):
        faults.append(f"--against-git is {shown(options.against_git, 80)!r}: name a revision.")
    return faults


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Verify locks. Returns 0: nothing but notices, 1: something was found, or not verified.

    Raises `WrongUsage`.
    """
    from attested_publish.consumer.lock_findings import LockReport
    from attested_publish.fronts.command_run import command_run
    from attested_publish.fronts.lock_run import verify_locks
    from attested_publish.fronts.lock_summary import lock_summary
    from attested_publish.fronts.running import carry_out, hand_over_report, require_writable
    from attested_publish.fronts.step_summary import summarize
    from attested_publish.journey.outcome import report_of
    from attested_publish.journey.targets import chosen
    from attested_publish.report import Result

    require_writable(options.report)
    run = command_run("verify", settings, verbose=options.verbose)
    report = LockReport()

    def work() -> None:
        nonlocal report
        run.targets = chosen(settings)
        report = verify_locks(run, _request(options))

    result = carry_out(work, run)
    if options.report is not None:
        hand_over_report(report.as_json(result, run.recorder.problems), options.report, run.printer)
    summarize(lambda limit: lock_summary(report, report_of(run), limit), run.printer.warning)
    return 0 if result is Result.DONE else 1


def _request(options: argparse.Namespace) -> LockRequest:
    from attested_publish.fronts.lock_run import LockRequest

    return LockRequest(
        locks=tuple(dict.fromkeys(options.lock)),
        against=options.against,
        revision=options.against_git,
        policy=options.policy,
        writes=options.write,
        uses_cache=not options.no_cache,
    )
