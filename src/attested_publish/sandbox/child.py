"""The child process in which untrusted files are read, one question after the other.

Started by `process`, which ends it where a bound is broken. It reads questions from its standard
input and writes answers to its standard output, a JSON object a line. A question names the
function of this package that answers it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from attested_publish.sandbox.questions import LONGEST_ANSWER, Answer, Question, Unreadable

if sys.platform == "win32":
    import ctypes

resource: ModuleType | None
try:
    import resource
except ImportError:
    # Windows has none.
    resource = None

OUT_OF_MEMORY = 86
"""The exit status of a child that had too little memory for what it read."""

_PACKAGE = "attested_publish."
_LOOK_AGAIN = 0.05
_GRACE = 2.0


def main() -> None:
    """Answer questions until there are no more.

    The first line names the module to import before the bound on memory is set, and the bound.
    """
    for name in ("SIGINT", "SIGHUP"):
        # A signal that stops the run goes to the parent, which ends this process.
        with contextlib.suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        # What a library prints must not be taken for an answer.
        os.dup2(nothing, stream)
    start = json.loads(questions.readline())
    try:
        load(start)
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        _send(answers, {"failed": f"{type(error).__name__}: {error}"})
        return
    _limit_memory(int(start["memory"]))
    _send(answers, {"ready": True})
    for line in questions:
        asked = json.loads(line)
        # Both end this process on their own: a regular expression may block the interpreter, and
        # the parent may have been killed.
        _limit_processor_time(asked["seconds"])
        faulthandler.dump_traceback_later(asked["wall_seconds"] + _GRACE, exit=True, file=nothing)
        answer = _line(_answer(asked["function"], asked["question"]))
        faulthandler.cancel_dump_traceback_later()
        _limit_processor_time(0)
        answers.write(answer)
        answers.flush()


def load(question: Question) -> Answer:
    """Import a module that later questions need. Raises `ImportError` for any but our own."""
    name = question["module"]
    if not name.startswith(_PACKAGE):
        raise ImportError(f"{name} is not part of this package")
    importlib.import_module(name)
    return {}


def _answer(name: str, question: Question) -> Answer:
    try:
        return _function(name)(question)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except RecursionError:
        return {"failed": "it is nested too deeply"}
    except Unreadable as error:
        return {"failed": str(error)}
    except Exception as error:  # noqa: BLE001 - a reader's mistake is reported of the file
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _function(name: str) -> Callable[[Question], Answer]:
    """Return the function of a dotted name (`attested_publish.module:function`)."""
    module, _, attribute = name.partition(":")
    if not module.startswith(_PACKAGE):
        raise ImportError(f"{module} is not part of this package")
    function: Callable[[Question], Answer] = getattr(importlib.import_module(module), attribute)
    return function


def _send(stream: Any, answer: Mapping[str, Any]) -> None:  # noqa: ANN401 - a binary file
    stream.write(_line(answer))
    stream.flush()


def _line(answer: Mapping[str, Any]) -> bytes:
    """Return what the parent reads; that there is too much, if it would not read it all."""
    try:
        line = json.dumps(answer).encode() + b"\n"
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    if len(line) > LONGEST_ANSWER:
        return _line({"failed": f"what is in it takes more than {LONGEST_ANSWER >> 20} MiB"})
    return line


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
    if resource is not None:
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
    if sys.platform == "win32":
        return _memory_on_windows()
    if resource is None:
        return 0
    unit = 1 if platform.system() == "Darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


if sys.platform == "win32":

    def _memory_on_windows() -> int:
        """PeakWorkingSetSize of PROCESS_MEMORY_COUNTERS (psapi.h); 0 if it cannot be read."""

        class Counters(ctypes.Structure):
            _fields_ = (
                ("cb", ctypes.c_uint32),
                ("PageFaultCount", ctypes.c_uint32),
                ("PeakWorkingSetSize", ctypes.c_size_t),
                ("others", ctypes.c_size_t * 7),
            )

        counters = Counters(cb=ctypes.sizeof(Counters))
        try:
            kernel = ctypes.WinDLL("kernel32")
            kernel.GetCurrentProcess.restype = ctypes.c_void_p
            process = ctypes.c_void_p(kernel.GetCurrentProcess())
            kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
        except (AttributeError, OSError):
            return 0
        return int(counters.PeakWorkingSetSize)
