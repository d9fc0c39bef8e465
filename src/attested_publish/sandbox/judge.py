"""A judge: the child process that reads untrusted files, one question after the other.

Started by `judges`, which ends it when a limit is exceeded. It reads questions from standard input
and writes answers to standard output, one JSON object on each line. It supports the questions in
`_ANSWERS`.
"""

from __future__ import annotations

import base64
import contextlib
import faulthandler
import importlib
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attested_publish import rules
from attested_publish.rules import Limits
from attested_publish.rules.description import Description, describe
from attested_publish.rules.wheel import open_wheel
from attested_publish.rules.zips import NotRead

if TYPE_CHECKING:
    from attested_publish.findings import Finding

OUT_OF_MEMORY = 86
"""The exit status of a judge that ran out of memory."""

_LOOK_AGAIN = 0.05
_GRACE = 2.0

Question = Mapping[str, Any]


def main() -> None:
    """Answer questions until there are no more; the first one sets the memory limits."""
    for name in ("SIGINT", "SIGHUP"):
        # A signal that stops the run goes to the parent, which ends this process.
        with contextlib.suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        # What a library prints must not be taken for an answer.
        os.dup2(nothing, stream)
    memory = int(json.loads(questions.readline())["memory"])
    _limit_memory(memory)
    _answer(answers, {"ready": True})
    for line in questions:
        question = json.loads(line)
        # Both end this process on their own: a regular expression may block the interpreter, and
        # the parent may have been killed.
        _limit_processor_time(question["seconds"])
        faulthandler.dump_traceback_later(
            question["wall_seconds"] + _GRACE, exit=True, file=nothing
        )
        try:
            answer = _ANSWERS[question["do"]](question)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except RecursionError:
            answer = {"failed": "it is nested too deeply"}
        except Exception as error:  # noqa: BLE001 - a reader's exception becomes a finding about the file
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        faulthandler.cancel_dump_traceback_later()
        _limit_processor_time(0)
        _answer(answers, answer)


def _answer(stream: Any, answer: Mapping[str, Any]) -> None:  # noqa: ANN401 - a binary file
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.flush()


def _judge(question: Question) -> dict[str, Any]:
    """Check a file except for its description, which is kept for the next question."""
    verdict = rules.judge_file(_path(question), question["filename"], question["size"], Limits())
    _kept.description = verdict.description
    return {
        "before": _told(verdict.before),
        "after": _told(verdict.after),
        "description": verdict.description.key if verdict.description else None,
    }


@dataclass
class _Kept:
    """What one question leaves for the next."""

    description: Description | None = None


_kept = _Kept()


def _describe(_question: Question) -> dict[str, Any]:
    """Render the description of the file that was checked last."""
    if _kept.description is None:
        return {"findings": []}
    return {"findings": _told(describe(_kept.description))}


def _refuse_form(question: Question) -> dict[str, Any]:
    return _first(rules.refuse_form(question["form"]))


def _refuse_description(question: Question) -> dict[str, Any]:
    return _first(rules.refuse_description(question["form"]))


def _refuse_filename(question: Question) -> dict[str, Any]:
    return _first(rules.refuse_filename(question["form"], question["filename"]))


def _refuse_file(question: Question) -> dict[str, Any]:
    form, filename = question["form"], question["filename"]
    return _first(rules.refuse_file(form, filename, _path(question), question["size"]))


def _wheel_metadata(question: Question) -> dict[str, Any]:
    """Read a wheel's METADATA, as an index serves it next to the wheel."""
    path, filename = _path(question), question["filename"]
    with open_wheel(path, filename, question["size"], Limits()) as wheel:
        try:
            content = wheel.read("METADATA")
        except NotRead as why:
            return {"failed": f"METADATA: {why}"}
    return {"content": None if content is None else base64.b64encode(content).decode()}


def _package(question: Question) -> dict[str, Any]:
    """Read what twine sends about a file."""
    # twine is slow to import, and only uploads need it.
    from attested_publish.index.package import InvalidDistribution, package_of

    try:
        return asdict(package_of(_path(question)))
    except InvalidDistribution as error:
        return {"failed": str(error)}


def _attestations(question: Question) -> dict[str, Any]:
    """Read what may be attestations or bundles of them."""
    # As for twine.
    from attested_publish.attestations.found import look_into

    return look_into(_path(question), question["digests"])


def _load(question: Question) -> dict[str, Any]:
    """Import what a question needs, before its time starts."""
    importlib.import_module(question["module"])
    return {}


_ANSWERS: Mapping[str, Callable[[Question], dict[str, Any]]] = {
    "judge": _judge,
    "describe": _describe,
    "refuse-form": _refuse_form,
    "refuse-description": _refuse_description,
    "refuse-filename": _refuse_filename,
    "refuse-file": _refuse_file,
    "wheel-metadata": _wheel_metadata,
    "package": _package,
    "attestations": _attestations,
    "load": _load,
}


def _path(question: Question) -> Path:
    """The path from its bytes: a filename need not be text."""
    return Path(os.fsdecode(base64.b64decode(question["path"])))


def _told(findings: Any) -> list[dict[str, str]]:  # noqa: ANN401 - findings in any order
    return [asdict(finding) for finding in findings]


def _first(finding: Finding | None) -> dict[str, Any]:
    return {"finding": None if finding is None else asdict(finding)}


def _limit_processor_time(seconds: float) -> None:
    """Let the system end this process after that much processor time (0: never), if it can."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(most: int) -> None:
    """Limit the memory to `most` bytes, by the system if it can, else by a watchdog.

    Linux counts the memory that a process may write to (RLIMIT_DATA). Other systems count less,
    or nothing, so a thread checks the memory in use; it cannot while native code holds the
    interpreter lock.
    """
    with contextlib.suppress(ImportError):
        import resource

        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if platform.system() != "Linux":
        # The current value may include the memory of the parent.
        threading.Thread(target=_watch_memory, args=(most + _memory(),), daemon=True).start()


def _watch_memory(most: int) -> None:
    while _memory() <= most:
        time.sleep(_LOOK_AGAIN)
    os._exit(OUT_OF_MEMORY)


def _memory() -> int:
    """The peak memory of this process, in bytes."""
    try:
        import resource
    except ImportError:
        return _memory_on_windows()
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _memory_on_windows() -> int:
    """PeakWorkingSetSize of PROCESS_MEMORY_COUNTERS (psapi.h); 0 if it cannot be read."""
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", ctypes.c_uint32),
            ("PageFaultCount", ctypes.c_uint32),
            ("PeakWorkingSetSize", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    counters = Counters(cb=ctypes.sizeof(Counters))
    try:
        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        process = ctypes.c_void_p(kernel.GetCurrentProcess())
        kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
    except (AttributeError, OSError):
        return 0
    return int(counters.PeakWorkingSetSize)
