"""Have untrusted files read in child processes: without secrets, within bounds, ended from outside.

A file that is made to exhaust its reader exhausts a child (`process`, `child`) and nothing else.
Two children use two cores; their memory, and that of the run itself, stays below what the smallest
runners have. What is asked about a file is not known here: whoever asks names the function that
answers, which the child imports.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from attested_publish.net.stopping import Stopped, at_the_end, is_stopped
from attested_publish.sandbox.process import BeyondBounds, Child, module_of
from attested_publish.sandbox.questions import Answer, Question, Unreadable, about_file

__all__ = [
    "CHILDREN",
    "FEW",
    "BeyondBounds",
    "Sandbox",
    "Unreadable",
    "seconds_for",
    "shared_sandbox",
]


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


CHILDREN = min(2, _processors())
"""How many questions are answered at the same time: more children would take too much memory."""

_MIB = 1 << 20

# Another child takes processor time and memory to start, which a few small files are not worth. So
# as many questions as this wait for a child that is at work, for so many seconds.
FEW = 3
_PATIENCE = 0.5

# Chosen so that a run stays below 300 MB with two children, or with one that is alone.
_MEMORY = 90 * _MIB
_MEMORY_ALONE = 180 * _MIB

# Processor time, so that a busy machine does not refuse a valid file.
_SECONDS = 5.0
_LEAST_SECONDS = 1.0
_USUAL_SIZE = 20 * _MIB
_BYTES_A_SECOND = 10 * _MIB

_Told = TypeVar("_Told")


class Sandbox:
    """At most so many child processes that wait for questions; threads may share them.

    Each is started when it is needed, with `memory` bytes. `close` ends them all, also those that
    are at work.
    """

    def __init__(self, children: int = CHILDREN, memory: int = _MEMORY) -> None:
        self._children = children
        self._memory = memory
        self._slots = threading.Semaphore(children)
        self._alone = threading.Lock()
        self._lock = threading.Condition()
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._waiting = 0

    def start(self, module: str) -> None:
        """Have one child get ready meanwhile, as questions for `module` are sure to come."""
        with self._lock:
            if not self._all:
                self._idle.append(self._new(self._memory, module))

    def load(self, module: str) -> None:
        """Have a child import what later questions need. Raises `BeyondBounds`, `Unreadable`."""
        with self._borrowed(module) as child:
            child.load(module)

    def ask(self, function: str, question: Question, seconds: float = _SECONDS) -> Answer:
        """Have `function` (`module:name`) answer a question, once. Raises as `load` does."""
        with self._borrowed(module_of(function)) as child:
            return child.ask(function, question, seconds)

    def ask_about(
        self,
        function: str,
        path: Path,
        filename: str,
        size: int,
        question: Question | None = None,
        *,
        seconds: float | None = None,
    ) -> Answer:
        """Have `function` answer a question about the file at `path`. Raises as `load` does.

        It may take what the file's size allows, or `seconds`; and it gets a second try, alone,
        where its memory was not enough.
        """
        asked = {**about_file(path, filename, size), **(question or {})}
        allowed = seconds_for(size) if seconds is None else seconds
        return self.talk(
            module_of(function), allowed, lambda child, left: child.ask(function, asked, left)
        )

    def talk(self, module: str, seconds: float, talk: Callable[[Child, float], _Told]) -> _Told:
        """Have one child asked several questions, with the seconds that it has for the file.

        Where its memory is not enough, once more with all of it. Raises what `talk` does.
        """
        started = time.monotonic()
        try:
            with self._borrowed(module) as child:
                return talk(child, seconds)
        except BeyondBounds as why:
            if not why.had_too_little_memory:
                raise
        # The rest of its time: a file that takes much memory takes it early.
        left = max(_LEAST_SECONDS, seconds - (time.monotonic() - started))
        with self._alone_with(module) as child:
            return talk(child, left)

    def keep_one(self) -> None:
        """End the children that are idle, except one: few questions are to come."""
        with self._lock:
            spare = self._idle[1:]
            del self._idle[1:]
        for child in spare:
            self._forget(child)

    def close(self) -> None:
        """End all children, wherever they are."""
        with self._lock:
            children = self._all.copy()
            self._idle.clear()
            self._all.clear()
            self._lock.notify_all()
        for child in children:
            child.end()

    @contextlib.contextmanager
    def _borrowed(self, module: str) -> Iterator[Child]:
        """Borrow a child, preferably one that has loaded `module`.

        One that was ended is not returned to the pool.
        """
        with self._lock:
            self._waiting += 1
            self._lock.notify_all()
        with self._slots:
            with self._lock:
                # Two that start at the same time are not ready sooner than one after the other.
                try:
                    self._lock.wait_for(lambda: self._idle or not self._is_one_starting())
                    self._lock.wait_for(self._is_another_worth_it, _PATIENCE)
                finally:
                    self._waiting -= 1
                idle = sorted(self._idle, key=lambda each: module in each.loaded)
                child = idle[-1] if idle else self._new(self._memory, module)
                if idle:
                    self._idle.remove(child)
            try:
                child.await_start()
                with self._lock:
                    self._lock.notify_all()
                yield child
            finally:
                self._give_back(child)

    @contextlib.contextmanager
    def _alone_with(self, module: str) -> Iterator[Child]:
        """Borrow a child that has the memory of all for itself."""
        with self._alone, contextlib.ExitStack() as slots:
            for _ in range(self._children):
                slots.enter_context(self._slots)
            with self._lock:
                idle = self._idle.copy()
                self._idle.clear()
            for other in idle:
                self._forget(other)
            with self._lock:
                child = self._new(_MEMORY_ALONE, module)
            try:
                yield child
            finally:
                self._forget(child)

    def _is_one_starting(self) -> bool:
        return any(child.is_starting for child in self._all)

    def _is_another_worth_it(self) -> bool:
        """Whether a child is free, or another one is to be started at once."""
        return bool(self._idle) or not self._all or self._waiting > FEW

    def _new(self, memory: int, module: str) -> Child:
        if is_stopped():
            # `close` has been called, or is about to be.
            raise Stopped("no child is started any more")
        child = Child(memory, module)
        self._all.add(child)
        return child

    def _give_back(self, child: Child) -> None:
        if not child.is_free:
            self._forget(child)
            return
        with self._lock:
            if child in self._all:
                self._idle.append(child)
                self._lock.notify()

    def _forget(self, child: Child) -> None:
        child.end()
        with self._lock:
            self._all.discard(child)
            self._lock.notify_all()


@functools.cache
def shared_sandbox() -> Sandbox:
    """Return the sandbox of this process: starting a child takes a third of a second.

    Its children end with the process; where that is killed, when there is nobody left to ask them.
    """
    sandbox = Sandbox()
    at_the_end(sandbox.close)
    return sandbox


def seconds_for(size: int) -> float:
    """The processor time that a file of `size` bytes may take: more for a large one."""
    return _SECONDS + max(0, size - _USUAL_SIZE) / _BYTES_A_SECOND
