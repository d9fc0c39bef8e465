"""The GitHub Action: reads inputs; writes workflow commands, outputs and a step summary."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import starmap
from pathlib import Path

from rich.console import Console

from attested_publish.console.github import GitHubPrinter
from attested_publish.console.output import Output
from attested_publish.console.recorder import Recorder
from attested_publish.consumer.lock_findings import LockReport
from attested_publish.fronts.head_start import start_judging
from attested_publish.fronts.running import carry_out, mask_secrets, write_json
from attested_publish.fronts.step_summary import VARIABLE, append_summary, append_whole, warned
from attested_publish.fronts.summary import WRONG_INPUTS, summary
from attested_publish.journey.outcome import report_of
from attested_publish.journey.run import Run
from attested_publish.net import secrecy
from attested_publish.net.stopping import Stopped, listening, see_through
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import FilesProblem, Topic, counted
from attested_publish.report import ProblemReport, Report, Result
from attested_publish.settings import SETTINGS, Mode, WrongUsage, understand

_LOG_WIDTH = 140


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run as a step of a job. Returns 0: done, 1: refused or failed, 2: wrong usage."""
    if sys.stdout is not None:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    with listening():
        return _run(environment)


def _run(environment: Mapping[str, str]) -> int:
    given = inputs(environment)
    # Before a wrong input is quoted in a message.
    secrecy.keep([given.get("password", "").strip(), *secrecy.secrets_in(environment)])
    printer = GitHubPrinter(_console())
    try:
        settings = understand(given)
    except WrongUsage as error:
        report = _wrong_inputs(error, printer, Report(mode=Mode.PUBLISH.value, index=""))
        return _handed_over(report, environment, printer, status=2)
    start_judging(settings)
    printer.verbose = settings.verbose
    mask_secrets(printer.mask, settings, environment)
    run = Run(settings.mode.value, settings, Recorder(printer), printer.mask)
    locks: LockReport | None = None

    def work() -> None:
        nonlocal locks
        if settings.mode is Mode.VERIFY:
            # Of a run that ends early, report and summary are of this mode, too.
            locks = LockReport()
        locks = _work(run, environment)

    try:
        result = carry_out(work, run)
    except WrongUsage as error:
        report = _wrong_inputs(error, printer, report_of(run))
        return _handed_over(report, environment, printer, status=2)
    status = 0 if result is Result.DONE else 1
    return _handed_over(report_of(run), environment, printer, locks, status=status)


def _handed_over(
    report: Report,
    environment: Mapping[str, str],
    printer: GitHubPrinter,
    locks: LockReport | None = None,
    *,
    status: int,
) -> int:
    """Write outputs and summary; return the exit status, which they do not change."""
    try:
        see_through(lambda: hand_over(report, environment, printer.warning, locks))
    except Stopped:
        printer.warning("The run was stopped while it was writing its outputs and summary.")
    return status


def _wrong_inputs(error: WrongUsage, printer: GitHubPrinter, report: Report) -> Report:
    """Annotate every wrong input; return a report that has them all as what ended the run."""
    for sentence in error.sentences:
        printer.wrong_input(harmless(sentence, pieces=True))
    problem = ProblemReport(
        stage=WRONG_INPUTS,
        title=counted(len(error.sentences), "wrong input"),
        detail=harmless(str(error)),
        remedy="Correct the inputs of this step in the workflow.",
        file=None,
    )
    return replace(report, problems=[*report.problems, problem])


def inputs(environment: Mapping[str, str]) -> dict[str, str]:
    """Read the action's inputs: `INPUT_` and the setting's name in capitals.

    The runner keeps hyphens (`INPUT_PACKAGES-DIR`), but some shells drop such variables; if that
    name is missing, the one with underscores is read.
    """
    given = {}
    for setting in SETTINGS:
        variable = f"INPUT_{setting.name.upper()}"
        value = environment.get(variable, environment.get(variable.replace("-", "_")))
        if value is not None:
            given[setting.name] = value
    return given


def _work(run: Run, environment: Mapping[str, str]) -> LockReport | None:
    """Do what the mode is for; returns what was found out about locks, of mode `verify`."""
    from attested_publish.journey import publish
    from attested_publish.journey.targets import chosen

    if run.settings.mode is Mode.REHEARSE:
        from attested_publish.rehearsal.rehearse import rehearse

        rehearse(run, registry_file=None, claims=(), sample=False)
        return None
    run.targets = chosen(run.settings)
    match run.settings.mode:
        case Mode.PUBLISH:
            publish.publish(run)
        case Mode.CHECK:
            publish.check(run)
        case Mode.ATTEST:
            if run.settings.attestations_dir is None:
                # The output `attestations-dir` names the folder.
                folder = _attestations_folder(environment)
                run.settings = replace(run.settings, attestations_dir=folder)
            publish.attest(run)
        case Mode.VERIFY:
            return _verify(run, environment)
    return None


def _verify(run: Run, environment: Mapping[str, str]) -> LockReport:
    from attested_publish.fronts.lock_run import LockRequest, verify_locks
    from attested_publish.fronts.lock_table import annotate_found

    base = environment.get("ATTESTED_PUBLISH_BASE")
    request = LockRequest(
        locks=run.settings.locks,
        against=run.settings.against,
        base=Path(base) if base else None,
        policy=run.settings.policy,
        # Of a pull request, the links in it are a stranger's.
        within=Path.cwd(),
        # A cache that jobs of others may have written to proves nothing.
        uses_cache=False,
    )
    found = verify_locks(run, request)
    if isinstance(run.printer, GitHubPrinter):
        annotate_found(found, run.printer)
    return found


def hand_over(
    report: Report,
    environment: Mapping[str, str],
    warn: Callable[[str], None],
    locks: LockReport | None = None,
) -> None:
    """Write the JSON report, the step's outputs and its summary where the runner expects them.

    Of mode `verify`, report and summary are about `locks`. They are independent: `warn` is called
    for each that cannot be written, which does not change the result of the release.
    """
    record = report.as_json()
    folder = Path(environment.get("RUNNER_TEMP") or tempfile.gettempdir())
    path = folder / f"attested-publish-{secrets.token_hex(4)}.json"
    with warned("JSON report", warn) as of_report:
        about = record if locks is None else locks.as_json(report.result, report.problems)
        write_json(about, path)
    attestations_dir = report.together().attestations_dir
    outputs = {
        "result": report.result.value,
        "files": json.dumps(record["files"]),
        "projects": json.dumps(secrecy.all_blotted(report.projects())),
        "attestations-dir": str(attestations_dir or ""),
        "report": str(path) if of_report.is_done else "",
    }
    if environment.get("GITHUB_OUTPUT"):
        file = Path(environment["GITHUB_OUTPUT"])
        with warned("step's outputs", warn) as of_outputs:
            append_whole(file, "".join(starmap(_output, outputs.items())))
        if not of_outputs.is_done:
            # The disk may have room for this one, which others depend on.
            with warned("step's result", warn):
                append_whole(file, _output("result", report.result.value))
    if environment.get(VARIABLE):
        with warned("step's summary", warn):
            append_summary(Path(environment[VARIABLE]), partial(_page, report, locks))


def _page(report: Report, locks: LockReport | None, limit: int) -> str:
    if locks is None:
        return summary(report, limit)
    # What it needs takes a while to import, and releases do without.
    from attested_publish.fronts.lock_summary import lock_summary

    return lock_summary(locks, report, limit)


def _output(name: str, value: str) -> str:
    # Random, so that no value can end its own block and set other outputs.
    mark = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{mark}\n{value}\n{mark}\n"


def _attestations_folder(environment: Mapping[str, str]) -> Path:
    """Create a folder for attestation files; the user's own folder is only read."""
    where = environment.get("RUNNER_TEMP") or None
    try:
        if where is not None:
            Path(where).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="attestations-", dir=where))
    except OSError as error:
        raise FilesProblem(
            "The attestation files could not be written",
            topic=Topic.ATTESTATIONS_DIR_UNWRITABLE,
            detail=f"{shown(where or 'The temporary folder')}: {error.strerror}.",
            remedy="Set attestations-dir to a folder that the job can write to.",
        ) from error


def _console() -> Console:
    return Console(
        file=Output(sys.stdout),  # type: ignore[arg-type] # has the file methods that are used
        highlight=False,
        width=_LOG_WIDTH,
        force_terminal=False,
        color_system=None,
        emoji=False,
    )
