"""What ends a run, or its part at one index, in words for the user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attested_publish.journey.run import State
from attested_publish.net.stopping import is_stopped
from attested_publish.net.unexpected import in_words
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import Stage
from attested_publish.report import ProblemReport, Result
from attested_publish.settings import WrongUsage

if TYPE_CHECKING:
    from attested_publish.journey.run import File, Run
    from attested_publish.problems import Problem

_SHOWN_NAMES = 10


@contextlib.contextmanager
def failures_explained(run: Run) -> Iterator[None]:
    """Explain whatever ends what is done in here as a problem; only `WrongUsage` is raised.

    So is what fails because the run was stopped: the main thread explains that.
    """
    try:
        yield
    except WrongUsage:
        raise
    except Exception as error:
        if is_stopped():
            raise
        run.printer.traceback()
        end_with(run, in_words(error, run.recorder.current))


def end_with(run: Run, problem: Problem) -> None:
    """Record and print what ended the run, and what it has made public by then."""
    run.result = Result(problem.result)
    file = run.files.get(problem.file or "")
    # What turns out to be wrong afterwards was uploaded all the same.
    if file is not None and problem.stage is not Stage.CONFIRMATION:
        file.state = state_after(problem)
    detail = "\n".join(filter(None, (problem.detail, _what_is_public(run, problem.stage))))
    is_named = run.name in problem.title
    title = problem.title if is_named else f"{run.name}: {problem.title}"
    _recorded(
        run, problem, title, detail, "" if file is None else file.distribution.source.as_posix()
    )


def record(run: Run, problem: Problem) -> None:
    """Record and print a problem with a part of what is done: the rest goes on."""
    _recorded(run, problem, problem.title, problem.detail, problem.file or "")


def _recorded(run: Run, problem: Problem, title: str, detail: str, source: str) -> None:
    run.recorder.problem(
        ProblemReport(
            stage=problem.stage.value,
            title=harmless(title),
            detail=harmless(detail),
            remedy=harmless(problem.remedy),
            file=problem.file,
            read_on=problem.read_on,
            source=source,
            listed=problem.listed,
        )
    )


def state_after(problem: Problem) -> State:
    """Return how far a file is that a problem before the confirmation is about."""
    if problem.may_have_arrived:
        return State.DOUBTFUL
    return State.REFUSED if problem.result == Result.REFUSED else State.FAILED


def _what_is_public(run: Run, stage: Stage) -> str:
    """Return what a run that ended in `stage` has made public; empty if that was not its task."""
    if not run.uploads:
        return ""
    sentences = []
    if uploaded := run.in_state(State.ARRIVED):
        sentences.append(f"Public already, from this run: {_named(uploaded)}.")
    else:
        sentences.append(f"This run uploaded nothing{f' to {run.name}' if run.name else ''}.")
    if there := run.in_state(State.THERE):
        sentences.append(f"Public since before: {_named(there)}.")
    is_past_upload = stage in {Stage.UPLOAD, Stage.CONFIRMATION}
    if is_past_upload and (doubtful := run.in_state(State.SENT, State.DOUBTFUL)):
        sentences.append(f"May have arrived, or not: {_named(doubtful)}.")
    return " ".join(sentences)


def _named(files: Sequence[File]) -> str:
    names = ", ".join(shown(file.distribution.filename) for file in files[:_SHOWN_NAMES])
    more = f" and {len(files) - _SHOWN_NAMES} more" if len(files) > _SHOWN_NAMES else ""
    return names + more
