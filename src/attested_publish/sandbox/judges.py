"""Read untrusted files in child processes: without secrets, within limits, ended from outside.

A file that is designed to exhaust its reader exhausts only a judge (`judge`). A file that exceeds a
limit gets a finding. Two judges use two cores; their memory, together with that of the run itself,
stays below what the smallest runners have.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attested_publish.findings import Finding, Severity
from attested_publish.net.stopping import at_the_end, ended_when_stopped, is_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution

_CHILDREN = 2
_MIB = 1 << 20

# Chosen so that a run stays below 300 MB with two judges, or with one that runs alone.
_MEMORY = 90 * _MIB
_MEMORY_ALONE = 180 * _MIB

# Processor time, so that a busy machine does not refuse a valid file.
_SECONDS = 5.0
_DESCRIPTION_SECONDS = 2.0
# A judge that gets too little processor time is ended, too.
_WALL_SECONDS_A_SECOND = 4.0 if hasattr(signal, "setitimer") else 1.5
_END_SECONDS = 5.0
_LEAST_SECONDS = 1.0
_START_SECONDS = 60.0
_USUAL_SIZE = 20 * _MIB
_BYTES_A_SECOND = 10 * _MIB

_OUT_OF_TIME = {getattr(signal, name, None) for name in ("SIGPROF", "SIGXCPU")}
_LONGEST_ANSWER = 32 * _MIB

_LOADED_FIRST = {
    "attestations": "attested_publish.attestations.found",
    "package": "attested_publish.index.package",
}
"""The modules of questions that not every run needs, and that take a second to import."""

_KEPT_VARIABLES = (
    # Needed by some Pythons to find their own libraries, ...
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    # ... and by Windows to start a process.
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP", "TMPDIR"),
)

_Answer = TypeVar("_Answer")

_START = """
import json, sys
sys.path[:0] = sys.argv[1:]
try:
    from attested_publish.sandbox.judge import main
except BaseException as error:
    print(json.dumps({"failed": f"{type(error).__name__}: {error}"}), flush=True)
else:
    main()
"""


class NotJudged(Exception):
    """A judge was ended before it answered; the text says at which limit.

    `had_too_little_memory`: it may succeed with more.
    """

    def __init__(self, text: str, *, had_too_little_memory: bool = False) -> None:
        super().__init__(text)
        self.had_too_little_memory = had_too_little_memory


class NotReadable(Exception):
    """A judge could not read a file; the text says why."""


class Judges:
    """A pool of judges; threads may share it. Each judge is started when it is needed.

    `close` ends them all, including those that are busy.
    """

    def __init__(self) -> None:
        self._slots = threading.Semaphore(_CHILDREN)
        self._alone = threading.Lock()
        self._lock = threading.Lock()
        self._idle: list[_Judge] = []
        self._all: set[_Judge] = set()
        self._descriptions: dict[str, list[Finding]] = {}

    def start(self) -> None:
        """Start one judge in the background, for a file that is certain to come."""
        with self._lock:
            if not self._all:
                self._idle.append(self._new(_MEMORY))

    def verdict(self, path: Path, filename: str, size: int) -> list[Finding]:
        """Return all findings of `rules` about the file at `path`, worst first."""
        from attested_publish.rules import worst_first

        question = {**_file(path, filename, size), "do": "judge"}

        def ask(judge: _Judge, seconds: float) -> list[Finding]:
            return worst_first(self._verdict(judge, question, seconds))

        try:
            return self._asked("judge", seconds_for(size), ask)
        except NotJudged as why:
            return [_beyond_bounds(why)]

    def _asked(self, do: str, seconds: float, ask: Callable[[_Judge, float], _Answer]) -> _Answer:
        """Ask a judge; if its memory is not sufficient, once more with all of the memory."""
        started = time.monotonic()
        try:
            with self._judge(do) as judge:
                return ask(judge, seconds)
        except NotJudged as why:
            if not why.had_too_little_memory:
                raise
        # The rest of its time: a file that takes much memory takes it early.
        left = max(_LEAST_SECONDS, seconds - (time.monotonic() - started))
        with self._lonely_judge() as judge:
            return ask(judge, left)

    def _verdict(self, judge: _Judge, question: Mapping[str, Any], seconds: float) -> list[Finding]:
        try:
            answer = judge.ask(question, seconds)
        except NotReadable as why:
            return [_beyond_bounds(why)]
        key = answer["description"]
        return [
            *_findings(answer["before"]),
            *(() if key is None else self._described(judge, key)),
            *_findings(answer["after"]),
        ]

    def _described(self, judge: _Judge, key: str) -> list[Finding]:
        """Render the description of the file just checked, once for all files that share it."""
        known = self._descriptions.get(key)
        if known is not None:
            return known
        try:
            found = _findings(judge.ask({"do": "describe"}, _DESCRIPTION_SECONDS)["findings"])
        except (NotJudged, NotReadable) as why:
            found = [
                Finding(
                    "description-beyond-bounds",
                    Severity.ERROR,
                    f"The description could not be rendered: {why}.",
                    "Look for excessive nesting, repetition or highlighting in the readme; "
                    "verify-metadata: false publishes it unchanged.",
                )
            ]
        self._descriptions[key] = found
        return found

    def ask(self, do: str, size: int = 0, **about: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Ask one question that `judge` supports. Raises `NotJudged`, `NotReadable`."""
        with self._judge() as judge:
            return judge.ask({"do": do, **about}, seconds_for(size))

    def ask_about(
        self,
        do: str,
        path: Path,
        filename: str,
        size: int,
        *,
        seconds: float | None = None,
        **about: Any,  # noqa: ANN401 - JSON
    ) -> dict[str, Any]:
        """Ask one question about the file at `path`. Raises `NotJudged`, `NotReadable`.

        It may take the time that its size allows, or `seconds`.
        """
        question = {**_file(path, filename, size), "do": do, **about}
        allowed = seconds_for(size) if seconds is None else seconds
        return self._asked(do, allowed, lambda judge, left: judge.ask(question, left))

    def load(self, do: str) -> None:
        """Let a judge import what the question `do` needs. Raises `NotJudged`, `NotReadable`."""
        with self._judge(do) as judge:
            judge.load(do)

    def close(self) -> None:
        """End all judges, whatever they are doing."""
        with self._lock:
            judges = self._all.copy()
            self._idle.clear()
            self._all.clear()
        for judge in judges:
            judge.end()

    @contextlib.contextmanager
    def _judge(self, do: str = "") -> Iterator[_Judge]:
        """Borrow a judge, preferably one that has loaded what the question `do` needs.

        One that was ended is not returned to the pool.
        """
        with self._slots:
            with self._lock:
                idle = sorted(self._idle, key=lambda each: do in each.loaded)
                judge = idle[-1] if idle else self._new(_MEMORY)
                if idle:
                    self._idle.remove(judge)
            try:
                yield judge
            finally:
                self._give_back(judge)

    @contextlib.contextmanager
    def _lonely_judge(self) -> Iterator[_Judge]:
        """Borrow a judge that has the memory of all judges for itself."""
        with self._alone, contextlib.ExitStack() as slots:
            for _ in range(_CHILDREN):
                slots.enter_context(self._slots)
            with self._lock:
                idle = self._idle.copy()
                self._idle.clear()
            for other in idle:
                self._forget(other)
            with self._lock:
                judge = self._new(_MEMORY_ALONE)
            try:
                yield judge
            finally:
                self._forget(judge)

    def _new(self, memory: int) -> _Judge:
        judge = _Judge(memory)
        self._all.add(judge)
        return judge

    def _give_back(self, judge: _Judge) -> None:
        if not judge.is_free:
            self._forget(judge)
            return
        with self._lock:
            if judge in self._all:
                self._idle.append(judge)

    def _forget(self, judge: _Judge) -> None:
        judge.end()
        with self._lock:
            self._all.discard(judge)


class _Judge:
    """A child process that answers one question at a time."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._is_expired = False
        self._is_ready = False
        self.is_free = True
        self.loaded: set[str] = set()
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
            raise _no_judge(error.strerror or type(error).__name__) from error
        self._send({"memory": memory})

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Answer a question within `seconds` of processor time.

        Raises `NotJudged`, `NotReadable`.
        """
        self.load(question["do"])
        return self._ask(question, seconds)

    def load(self, do: str) -> None:
        """Import what the question `do` needs, if necessary. Raises as `ask` does."""
        module = _LOADED_FIRST.get(do)
        if module is not None and do not in self.loaded:
            self._ask({"do": "load", "module": module}, _START_SECONDS)
            self.loaded.add(do)

    def _ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        self.is_free = False
        if not self._is_ready:
            self._await_start()
        wall_seconds = seconds * _WALL_SECONDS_A_SECOND
        self._send({**question, "seconds": seconds, "wall_seconds": wall_seconds})
        answer = self._answer(wall_seconds)
        if answer is None:
            raise self._why_ended(seconds)
        # Its time may have ended just after it answered.
        self.is_free = not self._is_expired
        if "failed" in answer:
            raise NotReadable(shown(answer["failed"], 300))
        return answer

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

    def _await_start(self) -> None:
        answer = self._answer(_START_SECONDS)
        if answer is None or "ready" not in answer:
            said = "" if answer is None else str(answer.get("failed", ""))
            self.end()
            status = self._process.returncode
            raise _no_judge(said or f"it ended with status {status} before it was ready")
        self._is_ready = True

    def _send(self, question: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        # A judge that has ended is noticed when its answer is missing.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self, seconds: float) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline(_LONGEST_ANSWER)
        except (OSError, ValueError):
            return None
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _expire(self) -> None:
        self._is_expired = True
        with contextlib.suppress(OSError):
            self._process.kill()

    def _why_ended(self, seconds: float) -> NotJudged:
        from attested_publish.sandbox.judge import OUT_OF_MEMORY

        self.end()
        status = self._process.returncode
        megabytes = f"{self._memory // _MIB} MB"
        if self._is_expired or -status in _OUT_OF_TIME:
            return NotJudged(f"it exceeded {seconds:.0f} seconds, with {megabytes} of memory")
        if status == OUT_OF_MEMORY:
            return NotJudged(f"it exceeded {megabytes} of memory", had_too_little_memory=True)
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"status {status}"
        # Rust code ends the process when it gets no memory.
        return NotJudged(
            f"its reader crashed with {name}, within {megabytes}", had_too_little_memory=True
        )


@dataclass
class Judging:
    """Checks in the background: each file is checked as soon as it is available."""

    judges: Judges
    _pool: ThreadPoolExecutor
    _verdicts: dict[str, Future[list[Finding]]]

    def begin(self, distribution: Distribution) -> None:
        """Start checking a file in the background."""
        self._verdicts[distribution.filename] = self._pool.submit(
            self.judges.verdict, distribution.path, distribution.filename, distribution.size
        )

    def verdict(self, distribution: Distribution) -> list[Finding]:
        """Wait for all findings about a file, worst first."""
        if distribution.filename not in self._verdicts:
            self.begin(distribution)
        return self._verdicts[distribution.filename].result()

    def unreadable(self, distributions: Sequence[Distribution]) -> dict[str, str]:
        """Find the files that twine cannot read, and why, by filename."""
        asked = {
            each.filename: self._pool.submit(self._why_unreadable, each) for each in distributions
        }
        told = {filename: future.result() for filename, future in asked.items()}
        return {filename: why for filename, why in told.items() if why}

    def _why_unreadable(self, distribution: Distribution) -> str:
        about = distribution.path, distribution.filename, distribution.size
        try:
            self.judges.ask_about("package", *about)
        except (NotJudged, NotReadable) as why:
            return str(why)
        return ""


@contextlib.contextmanager
def judging() -> Iterator[Judging]:
    """Check files until the end of the block; unfinished checks are abandoned."""
    judges = shared()

    def end() -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        if is_stopped():
            judges.close()

    with ended_when_stopped() as until_done:
        pool = ThreadPoolExecutor(_CHILDREN)
        until_done.callback(end)
        yield Judging(judges, pool, {})


@functools.cache
def shared() -> Judges:
    """Return the judges of this process, because starting one takes a third of a second.

    They end with the process; if it is killed, they end when their input is closed.
    """
    judges = Judges()
    at_the_end(judges.close)
    return judges


def seconds_for(size: int) -> float:
    """The processor time that a file of `size` bytes may take: more for a large one."""
    return _SECONDS + max(0, size - _USUAL_SIZE) / _BYTES_A_SECOND


def _file(path: Path, filename: str, size: int) -> dict[str, Any]:
    """Encode a file's path for a question; it need not be text."""
    return {
        "path": base64.b64encode(os.fsencode(path.absolute())).decode(),
        "filename": filename,
        "size": size,
    }


def _findings(told: list[dict[str, str]]) -> list[Finding]:
    return [
        Finding(one["rule"], Severity(one["severity"]), one["message"], one["remedy"])
        for one in told
    ]


def _beyond_bounds(why: Exception) -> Finding:
    return Finding(
        "file-beyond-bounds",
        Severity.ERROR,
        f"The file could not be checked: {why}.",
        "Look at its contents, and build it again; no build backend writes such a file. "
        "verify-metadata: false ignores this.",
    )


def _module_folders() -> list[str]:
    """Where a judge finds this package and its dependencies."""
    import packaging

    folders = (Path(__file__).parents[2], Path(packaging.__file__).parents[1])
    return list(dict.fromkeys(str(folder) for folder in folders))


def _no_judge(why: str) -> FilesProblem:
    return FilesProblem(
        "The files could not be inspected",
        topic=Topic.NO_JUDGE,
        detail=f"They are read in a separate process, which could not be started: {shown(why)}.",
        remedy="Let the job start processes, and give it more memory (`ulimit -u`, `ulimit -v`).",
    )
