"""One child process as its parent sees it: started, asked, and ended where a bound is broken."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import packaging

from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic
from attested_publish.sandbox import child
from attested_publish.sandbox.questions import LONGEST_ANSWER, Answer, Question, Unreadable

_MIB = 1 << 20

# A child that gets so little of the processor is ended all the same.
_WALL_SECONDS_A_SECOND = 4.0 if hasattr(signal, "setitimer") else 1.5
_END_SECONDS = 5.0
_START_SECONDS = 60.0

_OUT_OF_TIME = {getattr(signal, name, None) for name in ("SIGPROF", "SIGXCPU")}

_KEPT_VARIABLES = (
    # Needed by some Pythons to find their own libraries, ...
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    # ... and by Windows to start a process.
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP", "TMPDIR"),
)

_LOAD = f"{child.__name__}:{child.load.__name__}"

_START = f"""
import json, sys
sys.path[:0] = sys.argv[1:]
try:
    from {child.__name__} import main
except BaseException as error:
    print(json.dumps({{"failed": f"{{type(error).__name__}}: {{error}}"}}), flush=True)
else:
    main()
"""


class BeyondBounds(Exception):
    """A child was ended before it had an answer; the text says at which bound.

    `had_too_little_memory`: it may succeed with more.
    """

    def __init__(self, text: str, *, had_too_little_memory: bool = False) -> None:
        super().__init__(text)
        self.had_too_little_memory = had_too_little_memory


class Child:
    """A child process with `memory` bytes, which answers one question at a time.

    It imports `module` as it starts. Raises `FilesProblem` where no process can be started.
    """

    def __init__(self, memory: int, module: str) -> None:
        self._memory = memory
        self._is_expired = False
        self._is_ready = False
        self.is_free = True
        self.loaded = {module}
        kept = {name: os.environ.get(name) for name in _KEPT_VARIABLES}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this Python itself
                [sys.executable, "-I", "-X", "utf8", "-c", _START, *_module_folders()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: value for name, value in kept.items() if value is not None},
                cwd=Path(sys.executable).anchor or None,
            )
        except OSError as error:
            raise _not_started(error.strerror or type(error).__name__) from error
        self._send({"memory": memory, "module": module})

    def ask(self, function: str, question: Question, seconds: float) -> Answer:
        """Have `function` (`module:name`) answer a question in `seconds` of processor time.

        Its module is imported before. Raises `BeyondBounds`, `Unreadable`.
        """
        self.load(module_of(function))
        return self._ask(function, question, seconds)

    def load(self, module: str) -> None:
        """Import a module, if it has to be; wait until that is done. Raises as `ask` does."""
        self.await_start()
        if module not in self.loaded:
            self._ask(_LOAD, {"module": module}, _START_SECONDS)
            self.loaded.add(module)

    @property
    def is_starting(self) -> bool:
        """Whether it has not been ready yet."""
        return not self._is_ready

    def await_start(self) -> None:
        """Wait until it is ready. Raises `FilesProblem` where it does not get so far."""
        if self._is_ready:
            return
        self.is_free = False
        answer = self._answer(_START_SECONDS)
        if answer is None or "ready" not in answer:
            said = "" if answer is None else str(answer.get("failed", ""))
            self.end()
            status = self._process.returncode
            raise _not_started(said or f"it ended with status {status} before it was ready")
        self._is_ready = self.is_free = True

    def end(self) -> None:
        """End the process, and wait until it is gone."""
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None:
                    stream.close()

    def _ask(self, function: str, question: Question, seconds: float) -> Answer:
        self.is_free = False
        wall_seconds = seconds * _WALL_SECONDS_A_SECOND
        self._send(
            {
                "function": function,
                "question": question,
                "seconds": seconds,
                "wall_seconds": wall_seconds,
            }
        )
        answer = self._answer(wall_seconds)
        if answer is None:
            raise self._why_ended(seconds)
        # Its time may have ended just after it answered.
        self.is_free = not self._is_expired
        if "failed" in answer:
            raise Unreadable(shown(answer["failed"], 300))
        return answer

    def _send(self, told: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        # A child that is gone is noticed where its answer is missing.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self, seconds: float) -> Answer | None:
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline(LONGEST_ANSWER)
        except (OSError, ValueError):
            return None
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            return None
        answer: Answer = json.loads(line)
        return answer

    def _expire(self) -> None:
        self._is_expired = True
        with contextlib.suppress(OSError):
            self._process.kill()

    def _why_ended(self, seconds: float) -> BeyondBounds:
        self.end()
        status = self._process.returncode
        megabytes = f"{self._memory // _MIB} MB"
        if self._is_expired or -status in _OUT_OF_TIME:
            return BeyondBounds(f"it exceeded {seconds:.0f} seconds, with {megabytes} of memory")
        if status == child.OUT_OF_MEMORY:
            return BeyondBounds(f"it exceeded {megabytes} of memory", had_too_little_memory=True)
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"status {status}"
        # Rust code ends the process when it gets no memory.
        return BeyondBounds(
            f"its reader crashed with {name}, within {megabytes}", had_too_little_memory=True
        )


def module_of(function: str) -> str:
    """Return the module of a function's dotted name (`module:function`)."""
    return function.partition(":")[0]


def _module_folders() -> list[str]:
    """Where the child finds this package and the ones that it stands on."""
    folders = (Path(__file__).parents[2], Path(packaging.__file__).parents[1])
    return list(dict.fromkeys(str(folder) for folder in folders))


def _not_started(why: str) -> FilesProblem:
    return FilesProblem(
        "The files could not be inspected",
        topic=Topic.NO_SANDBOX,
        detail=f"They are read in a separate process, which could not be started: {shown(why)}.",
        remedy="Let the job start processes, and give it more memory (`ulimit -u`, `ulimit -v`).",
    )
