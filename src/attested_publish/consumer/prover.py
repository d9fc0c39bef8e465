"""Have provenance verified in a child process: it is a stranger's, and uses another processor."""

from __future__ import annotations

import functools
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from attested_publish import __version__
from attested_publish.attestations.trust_config import unusable
from attested_publish.consumer.identities import Identity
from attested_publish.consumer.verified_cache import Proven, key_of
from attested_publish.net.stopping import at_the_end
from attested_publish.net.untrusted import shown
from attested_publish.sandbox.pool import BeyondBounds, Sandbox, Unreadable

if TYPE_CHECKING:
    from attested_publish.sandbox.questions import Answer

_QUESTIONS = "attested_publish.consumer.proofs"
"""The module that the child imports: with it, the libraries that this process can do without."""

_SECONDS = 5.0
"""Processor time for the files that are asked about together; one takes a few milliseconds."""

_AT_A_TIME = 16
_PATIENCE = 1.0
"""Seconds that a thread without work stays."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """The index names a provenance for a file, but it proves nothing; why, in one sentence."""

    why: str


@dataclass
class _Pending:
    """A file that waits for its verdict."""

    asked: Mapping[str, Any]
    verdict: Future[Answer] = field(default_factory=Future)


@dataclass
class Prover:
    """Verifies provenance with one root of trust, a ClientTrustConfig as JSON.

    Threads may share it. Raises `SigningProblem` if the root cannot be used, and `FilesProblem` if
    no child can be started.
    """

    root: str
    _waiting: deque[_Pending] = field(default_factory=deque, init=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _is_served: bool = field(default=False, init=False)

    @cached_property
    def rules(self) -> str:
        """A digest of what decides whether an attestation is valid, apart from itself."""
        versions = (version(name) for name in ("sigstore", "pypi-attestations"))
        return key_of(self.root, __version__, *versions)

    def start(self) -> None:
        """Have the child get ready meanwhile, as there will be something to verify."""
        _sandbox().start(_QUESTIONS)

    def check_root(self) -> None:
        """Have the root of trust loaded, though there may be nothing to verify."""
        self._ask([])

    def __call__(
        self, provenance: Mapping[str, Any], filename: str, sha256: str
    ) -> Proven | Invalid:
        """Verify the provenance (JSON, PEP 740) of the file with these bytes."""
        try:
            # As text, so that one that is nested deeply is a problem of this file only.
            text = json.dumps(provenance)
        except RecursionError:
            return Invalid(f"The provenance of {shown(filename)} is nested too deeply.")
        pending = _Pending({"provenance": text, "filename": filename, "sha256": sha256})
        with self._changed:
            self._waiting.append(pending)
            self._changed.notify()
            is_served, self._is_served = self._is_served, True
        if not is_served:
            try:
                threading.Thread(target=self._serve, daemon=True, name="prover").start()
            except RuntimeError:
                # The machine has no more threads.
                self._serve(patience=0)
        try:
            answer = pending.verdict.result()
        except (BeyondBounds, Unreadable) as error:
            return Invalid(f"The provenance of {shown(filename)} cannot be verified: {error}.")
        if "invalid" in answer:
            return Invalid(str(answer["invalid"]))
        return Proven(
            # Each once.
            tuple(dict.fromkeys(map(Identity.of, answer["identities"]))),
            tuple(answer["attestations"]),
            answer["commit"],
            answer["ref"],
        )

    def _serve(self, patience: float = _PATIENCE) -> None:
        """Ask about all that wait, some at a time: a question for each would take longer."""
        while batch := self._next(patience):
            self._decide(batch)

    def _next(self, patience: float) -> list[_Pending]:
        """Return some that wait; nothing if none come, so that this thread ends."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._waiting), patience):
                self._is_served = False
                return []
            return [self._waiting.popleft() for _ in range(min(_AT_A_TIME, len(self._waiting)))]

    def _decide(self, batch: Sequence[_Pending]) -> None:
        """Give each its verdict; one that breaks the bounds does not decide about the others."""
        try:
            answers = self._ask([each.asked for each in batch])
        except BaseException as error:  # noqa: BLE001 - raised where the verdict is waited for
            if len(batch) > 1 and isinstance(error, BeyondBounds | Unreadable):
                for each in batch:
                    self._decide([each])
                return
            for each in batch:
                each.verdict.set_exception(error)
            return
        for each, answer in zip(batch, answers, strict=True):
            each.verdict.set_result(answer)

    def _ask(self, files: Sequence[Mapping[str, Any]]) -> Sequence[Answer]:
        question = {"files": files, "rules": self.rules}
        answer = _answer(question)
        if "needs_root" in answer:
            answer = _answer({**question, "root": self.root})
        if "bad_root" in answer:
            raise unusable(str(answer["bad_root"]))
        verdicts: Sequence[Answer] = answer["verdicts"]
        return verdicts


def _answer(question: Mapping[str, Any]) -> Answer:
    return _sandbox().talk(
        _QUESTIONS,
        _SECONDS,
        lambda child, left: child.ask(f"{_QUESTIONS}:prove", question, left),
    )


@functools.cache
def _sandbox() -> Sandbox:
    """Return a sandbox with one child: another would need the memory for the libraries again."""
    sandbox = Sandbox(children=1)
    at_the_end(sandbox.close)
    return sandbox
