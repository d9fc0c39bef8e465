"""What ends a run, or its turn at one index, is told as a problem."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attested_publish.foreign import shown
from attested_publish.problems import Problem, Stage, Topic
from attested_publish.settings import WrongUsage
from attested_publish.stopping import is_stopped

if TYPE_CHECKING:
    from attested_publish.reporter import Reporter

ISSUES = "https://github.com/attested-publish/attested-publish/issues"


class UnexpectedProblem(Problem):
    """Something went wrong that nobody has thought of: a mistake of this tool."""


@contextlib.contextmanager
def told(reporter: Reporter) -> Iterator[None]:
    """Tell whatever ends what is done in here as a problem; only `WrongUsage` comes out.

    What fails because the run was told to stop comes out too: the main thread tells that.
    """
    try:
        yield
    except WrongUsage:
        raise
    except Exception as error:
        if is_stopped():
            raise
        reporter.traceback()
        # A user must not be left with a traceback alone.
        known = error if isinstance(error, Problem) else _unexpected(error, reporter.current)
        reporter.problem(known)


def _unexpected(error: Exception, stage: Stage) -> UnexpectedProblem:
    problem = UnexpectedProblem(
        "Something unexpected happened",
        topic=Topic.UNEXPECTED,
        detail=f"{type(error).__name__}: {shown(error)}",
        remedy="This is a mistake of attested-publish. Run again with verbose to see where it "
        f"happened, and please report it: {ISSUES}. A re-run uploads only what is missing.",
    )
    problem.stage = stage
    return problem
