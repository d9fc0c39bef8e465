"""Errors that nobody has explained yet: what the machine refuses, or a bug here."""

from __future__ import annotations

import errno

from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, Stage, Topic

ISSUES = "https://github.com/attested-publish/attested-publish/issues"

_SAFE = "A re-run uploads only what is missing."


class MachineProblem(Problem):
    """The machine lacks or refuses something that a run needs."""


class UnexpectedProblem(Problem):
    """Something went wrong that nobody has thought of: a bug in this tool."""


def in_words(error: Exception, stage: Stage) -> Problem:
    """Return what ended a run as a problem: one already, the machine's doing, or a bug here."""
    if isinstance(error, Problem):
        return error
    problem = _of_the_machine(error) or UnexpectedProblem(
        "Something unexpected happened",
        topic=Topic.UNEXPECTED,
        detail=f"{type(error).__name__}: {shown(error)}",
        remedy="This is a bug in attested-publish. Run again with verbose to see where it "
        f"happened, and please report it: {ISSUES}. {_SAFE}",
    )
    problem.stage = stage
    return problem


def _of_the_machine(error: BaseException) -> MachineProblem | None:
    """Return what the machine lacks or refuses, where that is behind an error."""
    link: BaseException | None = error
    seen: list[BaseException] = []
    while link is not None and link not in seen:
        seen.append(link)
        if isinstance(link, OSError) and link.errno is not None:
            return _refused(link)
        text = str(link)
        if isinstance(link, MemoryError) or "failed to map segment" in text:
            return _lacks(
                "memory", "Its limit may be set with ulimit -v, or for a container with --memory."
            )
        if isinstance(link, RuntimeError) and "can't start new thread" in text:
            return _lacks(
                "threads",
                "They may be limited with ulimit -u or -v, or a container's --pids-limit.",
            )
        link = link.__cause__ or link.__context__
    return None


def _refused(error: OSError) -> MachineProblem:
    match error.errno:
        case errno.EMFILE | errno.ENFILE:
            return _lacks("open files", "Their limit is set with ulimit -n.")
        case errno.ENOSPC | errno.EDQUOT:
            return _lacks("room on a disk", "The temporary folder needs room for a private copy.")
        case errno.ENOMEM:
            return _lacks(
                "memory", "Its limit may be set with ulimit -v, or for a container with --memory."
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return MachineProblem(
                "There is no loopback interface",
                topic=Topic.MACHINE,
                detail=f"The embedded services need the address 127.0.0.1: {error.strerror}.",
                remedy="Run where the machine has it up (`ip link set lo up`).",
            )
        case _:
            where = f"{shown(error.filename)}: " if error.filename else ""
            return MachineProblem(
                "The machine does not let the run go on",
                topic=Topic.MACHINE,
                detail=f"{where}{error.strerror or type(error).__name__}.",
                remedy=f"Change that, and run again. {_SAFE}",
            )


def _lacks(what: str, hint: str) -> MachineProblem:
    return MachineProblem(
        f"The run has no {what} left",
        topic=Topic.MACHINE,
        detail=f"The machine gave it no more. {hint}",
        remedy=f"Give it more, and run again. {_SAFE}",
    )
