"""The commands `publish`, `check`, `attest` and `rehearse`, from options to an exit status."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from attested_publish.fronts.head_start import start_judging
from attested_publish.settings import Mode, Settings, WrongUsage, gathering, understand

if TYPE_CHECKING:
    import argparse

    from attested_publish.console.printer import Printer
    from attested_publish.journey.run import Run
    from attested_publish.journey.targets import Targets
    from attested_publish.report import Report


def run(options: argparse.Namespace, values: Mapping[str, str]) -> int:
    """Run a mode with the values of settings that were given. Returns 0: done, 1: it was not.

    Raises `WrongUsage`.
    """
    settings = _settings(options, values)
    start_judging(settings)

    from attested_publish.fronts.command_run import command_run
    from attested_publish.fronts.running import carry_out, hand_over_report
    from attested_publish.fronts.step_summary import summarize
    from attested_publish.journey.outcome import report_of
    from attested_publish.report import Result

    run = command_run(settings.mode.value, settings, verbose=settings.verbose)
    result = carry_out(lambda: _work(options, run), run)
    if options.report is not None:
        hand_over_report(report_of(run).as_json(), options.report, run.printer)
    summarize(lambda limit: _page(report_of(run), limit), run.printer.warning)
    return 0 if result is Result.DONE else 1


def _page(report: Report, limit: int) -> str:
    # Only in a job: everybody else does not wait for what it needs.
    from attested_publish.fronts.summary import summary

    return summary(report, limit)


def _settings(options: argparse.Namespace, values: Mapping[str, str]) -> Settings:
    """Parse the options; raises one `WrongUsage` for everything that is wrong with them."""
    faults: list[str] = []
    settings = Settings()
    with gathering(faults):
        settings = understand({**values, "mode": options.command})
    if "" in options.paths:
        faults.append("PATH is empty: is there a variable without a value on the command line?")
    if options.paths:
        settings = replace(settings, packages_dir=tuple(dict.fromkeys(options.paths)))
    if options.report is not None:
        from attested_publish.fronts.running import require_writable

        with gathering(faults):
            require_writable(options.report)
    if options.command == Mode.REHEARSE:
        from attested_publish.rehearsal.rehearse import read_world

        # It is read again when the services are started; wrong options are told with the others.
        with gathering(faults):
            read_world(options.registry, options.claim, options.job)
    if faults:
        raise WrongUsage(*faults)
    return settings


def _work(options: argparse.Namespace, run: Run) -> None:
    from attested_publish.journey import publish
    from attested_publish.journey.targets import chosen

    if run.settings.mode is Mode.REHEARSE:
        from attested_publish.rehearsal.rehearse import rehearse

        has_own_files = bool(options.paths) or options.packages_dir is not None
        rehearse(run, options.registry, options.claim, sample=not has_own_files, job=options.job)
        return
    run.targets = chosen(run.settings)
    match run.settings.mode:
        case Mode.VERIFY:
            raise WrongUsage("Locks are verified with `attested-publish verify --lock`.")
        case Mode.PUBLISH:
            publish.publish(run)
        case Mode.CHECK if options.offline:
            publish.check_files(run)
        case Mode.CHECK:
            publish.check(run)
        case Mode.ATTEST:
            run.targets = _with_sign_in(run.targets, run.printer)
            publish.attest(run)


def _with_sign_in(targets: Targets, printer: Printer) -> Targets:
    """Let a person sign in if there is one at the terminal, and the machine has no identity."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return targets
    from attested_publish.attestations.sign_in import SignIn
    from attested_publish.identity.tokens import detect

    ambient = SignIn(targets.ambient or detect, targets.trust_config, printer.notice)
    return replace(targets, ambient=ambient)
