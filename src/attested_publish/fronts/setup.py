"""`attested-publish setup`: the trusted publishers that a repository needs, and its workflow."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attested_publish.fronts.switches import add_verbose
from attested_publish.net.secrecy import BLOT
from attested_publish.net.untrusted import shown
from attested_publish.settings import Settings, WrongUsage

if TYPE_CHECKING:
    from attested_publish.console.printer import Printer
    from attested_publish.console.recorder import Recorder
    from attested_publish.fronts.setup_summary import SetUp
    from attested_publish.journey.run import Run
    from attested_publish.setup.jobs import Job
    from attested_publish.setup.publishers import Publisher
    from attested_publish.setup.survey import Survey

_MOST_REHEARSED = 3
_HIDDEN = (
    f"{BLOT} is shown, and in the link, in place of: {{}}. It is also in a password, in the "
    "address of git's remote or in a variable, so it is masked. Enter what it really is."
)

_DESCRIPTION = """\
Read a repository, and print what to enter on PyPI for the jobs that publish from it: the fields of
the form for each project and index, with a link that fills them in. It also says what is wrong with
these jobs, and rehearses them with the same fields. Nothing in the repository is run or changed.

With --write, a workflow that publishes with an API token or with pypa/gh-action-pypi-publish is
changed to use this action, and where nothing publishes yet, a workflow is written.

exit status: 0: done, 1: something failed, such as the rehearsal, 2: wrong usage"""

_EXAMPLE = """\
examples:
  attested-publish setup
  attested-publish setup ../sample --offline --report setup.json
  attested-publish setup --write"""


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the description and the options to the command's parser."""
    command.description = _DESCRIPTION
    command.epilog = _EXAMPLE
    command.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="the repository (default: this folder)"
    )
    command.add_argument(
        "--write",
        action="store_true",
        help="change the workflow, or write one, and print the difference",
    )
    command.add_argument(
        "--offline", action="store_true", help="do not ask the index which projects exist"
    )
    command.add_argument(
        "--report", type=Path, metavar="FILE", help="write a JSON report to this file"
    )
    add_verbose(command)


def run(options: argparse.Namespace) -> int:
    """Set a repository up. Returns 0: done, 1: something failed; raises `WrongUsage`."""
    path = _path(options.path)
    from attested_publish.fronts.command_run import command_run
    from attested_publish.fronts.running import carry_out, hand_over_report, require_writable
    from attested_publish.fronts.setup_summary import SetUp, setup_summary
    from attested_publish.fronts.step_summary import summarize
    from attested_publish.journey.outcome import report_of
    from attested_publish.report import Result

    require_writable(options.report)
    run = command_run("setup", Settings(), verbose=options.verbose)
    outcome = SetUp()
    result = carry_out(lambda: _work(options, path, run, outcome), run)
    if options.report is not None:
        hand_over_report(outcome.as_json(), options.report, run.printer)
    summarize(lambda limit: setup_summary(outcome, report_of(run), limit), run.printer.warning)
    return 0 if result is Result.DONE else 1


def _path(text: str) -> Path:
    path = Path(text)
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not text or not is_folder:
        raise WrongUsage(f"PATH is {shown(text, 200)!r}, which is not a folder.")
    return path


def _work(options: argparse.Namespace, path: Path, run: Run, outcome: SetUp) -> None:
    from attested_publish.report import Result
    from attested_publish.setup.publishers import in_order
    from attested_publish.setup.survey import survey, top_of
    from attested_publish.setup.writing import with_remedies, write

    root = top_of(path)
    found = survey(root)
    is_done = True
    if options.write:
        change = write(found, offline=options.offline)
        outcome.written = change.written
        _print_changes(change.written, run.printer)
        for sentence in change.notices:
            run.recorder.remark(shown(sentence))
        for sentence in change.refused:
            run.printer.warning(shown(sentence))
        outcome.refused = change.refused
        is_done = not change.refused
        if change.written:
            found = survey(root)
    publishers = list(found.publishers)
    if not options.offline:
        publishers = list(_asked(publishers, run.recorder))
    publishers = in_order(publishers)
    found.findings = with_remedies(found)
    outcome.publishers, outcome.findings = publishers, found.findings
    outcome.nothing = "" if outcome.refused and not found.may_publish else _why_nothing(found)
    _print_publishers(publishers, found, run.recorder)
    if not publishers and outcome.nothing:
        run.printer.notice(outcome.nothing)
    elif found.may_publish:
        run.recorder.remark(_may_publish(found, "Something else here may publish, too"))
    _print_hidden(publishers, run)
    _print_findings(found, run.printer)
    _rehearse(found, publishers, run)
    run.result = Result.worst(run.result, Result.DONE if is_done else Result.FAILED)


def _asked(publishers: Sequence[Publisher], recorder: Recorder) -> Iterator[Publisher]:
    from attested_publish.net.http import new_session
    from attested_publish.net.patience import Deadlines
    from attested_publish.setup.publishers import asked

    with new_session(read=Deadlines().answer) as session:
        for publisher, problem in asked(publishers, session):
            if problem is not None:
                recorder.remark(f"Whether projects exist is not known: {problem.cause}.")
            yield publisher


def _why_nothing(found: Survey) -> str:
    """Return a sentence that says why there are no publishers, where there are none."""
    from attested_publish.setup.writing import why_no_new

    none = ["No job here publishes to PyPI or TestPyPI."] if found.jobs else []
    if found.may_publish:
        return " ".join([*none, _may_publish(found, "Something here may publish")])
    if none:
        return none[0]
    if not found.projects.found:
        return f"{shown(found.projects.why_none)} Run `setup` in a repository, or name its folder."
    why_not = why_no_new(found) or "`attested-publish setup --write` writes a workflow."
    return f"Nothing here publishes yet. {shown(why_not)}"


def _may_publish(found: Survey, what: str) -> str:
    """Return a sentence on where something may publish that was not looked into."""
    from attested_publish.setup.survey import first_few

    listed = [
        f"{spot.file}:{spot.line}" + (f" ({why})" if why else "")
        for spot, why in found.may_publish.items()
    ]
    return shown(f"{what}, but `setup` cannot look into it: {first_few(listed)}")


def _print_publishers(publishers: Sequence[Publisher], found: Survey, recorder: Recorder) -> None:
    for notice in found.notices:
        recorder.remark(shown(notice))
    printer = recorder.printer
    names = {"pypi": "PyPI", "testpypi": "TestPyPI", None: "an index that only a run will know"}
    for each in publishers:
        state = {
            True: "The project does not exist yet, so this is a pending publisher.",
            False: "The project exists.",
            None: "",
        }
        printer.heading(
            f"{shown(each.project or 'a project of unknown name')} on {names[each.index]}"
        )
        if state[each.pending]:
            printer.notice(state[each.pending])
        if each.pending is not False and each.project:
            printer.detail(f"PyPI project name: {shown(each.project)}")
        for label, value in each.fields().items():
            is_optional = label.startswith("Environment") and not each.has_unknown_environment
            empty = "(leave empty)" if is_optional else "(not known)"
            printer.detail(f"{label}: {shown(value) or empty}")
        _print_link(each, printer)
    _print_order(publishers, recorder)


def _print_link(publisher: Publisher, printer: Printer) -> None:
    """Print where a publisher is registered, and whether the link fills in all of the form."""
    # Which publishers a project has is not public.
    register = (
        "Register it at" if publisher.pending else "If it is not registered yet, register it at"
    )
    if publisher.is_complete and publisher.url:
        printer.notice(f"{register} {publisher.url}")
        if other := publisher.url_if_new():
            printer.notice(f"Or, if the project does not exist yet, at {other}")
    elif publisher.url:
        printer.notice(f"{register} {publisher.url} and fill in what is not known here.")
    elif page := publisher.page():
        printer.notice(
            f"{register} {page} for the environment of the run: as that is not known here, "
            "there is no link that fills in the form."
        )


def _print_hidden(publishers: Sequence[Publisher], run: Run) -> None:
    """Print which fields are masked, because a secret is in them or they are in one."""
    hidden = {
        label: None
        for each in publishers
        for label, value in {"PyPI project name": each.project or "", **each.fields()}.items()
        if BLOT in shown(value) and BLOT not in value
    }
    if hidden:
        run.recorder.remarks.append(_HIDDEN.format(", ".join(hidden)))
        run.printer.warning(run.recorder.remarks[-1])


def _print_order(publishers: Sequence[Publisher], recorder: Recorder) -> None:
    """Print that an identity can have only one pending publisher, where it needs several."""
    pending: dict[tuple[str | None, ...], list[str]] = {}
    for each in publishers:
        if each.pending and each.project and not each.has_unknown_environment:
            pending.setdefault((each.index, *each.identity), []).append(each.project)
    for projects in pending.values():
        if len(projects) > 1:
            first, *others = map(shown, projects)
            recorder.remark(
                f"One workflow and environment can have one pending publisher: register {first}, "
                f"publish it, and then register the next ({', '.join(others)}); or give each "
                "project an environment of its own."
            )


def _print_findings(found: Survey, printer: Printer) -> None:
    from attested_publish.setup.jobs import Provider

    if not found.findings:
        return
    printer.heading("What to improve in the jobs that publish")
    for each in found.findings:
        printer.warning(f"{shown(each.file)}:{each.line}: {shown(each.message)}  [{each.rule}]")
        printer.detail(f"→ {shown(each.remedy)}")
    if any(job.provider is Provider.GITHUB for job in found.jobs):
        printer.notice("For everything else about workflows: `uvx zizmor .github/workflows`.")


def _print_changes(written: Sequence[Any], printer: Printer) -> None:
    for each in written:
        printer.heading(f"Written: {shown(each.name)}")
        for line in each.difference():
            printer.detail(line.rstrip("\n"))


def _rehearse(found: Survey, publishers: Sequence[Publisher], run: Run) -> None:
    """Rehearse the jobs whose publishers are known, one for each identity."""
    from attested_publish.rehearsal.publishing_job import rehearse_job
    from attested_publish.report import Result

    run.result = Result.DONE
    _reject_locked_out(found.jobs)
    jobs = _jobs_by_workflow(found.jobs)
    done: set[tuple[str | None, ...]] = set()
    are_several = len({each.identity for each in publishers}) > 1
    for each in publishers:
        job = jobs.get((each.provider, each.workflow, each.environment))
        if not each.is_complete or job is None or each.identity in done:
            continue
        if len(done) == _MOST_REHEARSED:
            run.printer.notice(f"Only the first {_MOST_REHEARSED} publishers are rehearsed.")
            return
        done.add(each.identity)
        rehearsed, printed = _unseen(run)
        try:
            rehearse_job(
                rehearsed, each.query(), file=job.file, started=job.started, kind=job.provider.value
            )
        finally:
            if rehearsed.result is not Result.DONE or run.printer.verbose:
                run.printer.heading(f"Rehearsal of the job {shown(job.name)} in {shown(job.file)}")
                for line in printed.getvalue().splitlines():
                    run.printer.detail(line)
        if rehearsed.result is not Result.DONE:
            run.result = rehearsed.result
            run.recorder.problems += rehearsed.recorder.problems
            return
        where = (
            f" (environment {shown(job.environment)})" if are_several and job.environment else ""
        )
        passed = (
            f"Rehearsed: an embedded PyPI with these fields accepts the job {shown(job.name)} of "
            f"{shown(job.file)}{where}, "
        ) + (
            "without attestations, as it is in a reusable workflow."
            if job.file != job.started
            else f"and its attestations{_condition(job)}."
            if job.attests
            else "without attestations, as its upload has none."
        )
        run.printer.item(passed)
        run.recorder.remarks.append(passed)


def _condition(job: Job) -> str:
    """Return on what it depends that a job's attestations are accepted; empty for nothing."""
    from attested_publish.setup.jobs import Provider

    # On GitLab a job may get a password that no file names, so this is no problem by itself.
    lacks_token = job.provider is Provider.GITLAB and not job.has_identity
    return ", once it has `id_tokens`: without, it has no identity" if lacks_token else ""


def _reject_locked_out(jobs: Sequence[Job]) -> None:
    """Raise `SetupProblem` for a job that gets neither an identity token nor a password."""
    from attested_publish.problems import Topic
    from attested_publish.setup.documents import SetupProblem

    job = next((each for each in jobs if each.is_locked_out), None)
    if job is None:
        return
    name, where = shown(job.name), shown(f"{job.spot.file}:{job.spot.line}")
    raise SetupProblem(
        f"The job {name} cannot publish",
        detail=f"The job {name} ({where}) may not request an identity token, and no password is "
        "given to its upload, so no index accepts what it publishes.",
        remedy="Give the job `permissions: {id-token: write}`"
        + (", and the job that calls its workflow, too." if job.file != job.started else "."),
        topic=Topic.NO_PERMISSION,
    )


def _unseen(run: Run) -> tuple[Run, io.StringIO]:
    """Return a run of its own for a rehearsal, and what it prints."""
    from rich.console import Console

    from attested_publish.console.printer import Printer
    from attested_publish.console.recorder import Recorder
    from attested_publish.journey.run import Run

    printed = io.StringIO()
    # As wide as what it is printed to, without the indentation of a detail.
    width = max(run.printer.console.width - 6, 20)
    console = Console(file=printed, highlight=False, emoji=False, width=width)
    printer = Printer(console, verbose=run.printer.verbose)
    return Run("rehearse", Settings(), Recorder(printer), run.mask), printed


def _jobs_by_workflow(jobs: Sequence[Job]) -> dict[tuple[str, str, str | None], Job]:
    return {
        (
            job.provider.value,
            job.file.rpartition("/")[2] if job.provider == "github" else job.file,
            job.environment or None,
        ): job
        for job in reversed(jobs)
        if job.environment is not None and not job.untrusted
    }
