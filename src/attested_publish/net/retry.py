"""Retry while it makes sense: one policy for each kind of request, with a known end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_before_delay
from tenacity import wait_exponential_jitter as jittered

from attested_publish.net.stopping import Stopped, is_stopped, wait
from attested_publish.problems import Problem, counted

if TYPE_CHECKING:
    from attested_publish.net.patience import Patience

Result = TypeVar("Result")
Tell = Callable[[str], None]

_LONG = 120
"""Seconds from which on a wait is given in minutes."""


class GaveUp:
    """Shared by all work on the same release: after one final failure, nothing is retried.

    The same applies when the run is told to stop, except for its clean-up (`heeds_stop`).
    """

    def __init__(self, *, heeds_stop: bool = True) -> None:
        self._event = threading.Event()
        self._heeds_stop = heeds_stop

    def __bool__(self) -> bool:
        return self._event.is_set() or (self._heeds_stop and is_stopped())

    def now(self) -> None:
        """Make the others stop waiting for another try."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait for that time, or until another has given up or the run is told to stop."""
        if self._heeds_stop:
            wait(seconds, self._event)
        else:
            self._event.wait(seconds)

    def heed(self) -> None:
        """Raise `Stopped` if nothing new is to be started."""
        if self:
            raise Stopped("nothing new is started")


def persistently(
    work: Callable[[], Result],
    patience: Patience,
    tell: Tell,
    given_up: GaveUp | None = None,
) -> Result:
    """Return what `work` returns, retrying while it raises a `Problem` that may pass.

    Each wait is reported: what failed, when the next attempt is, and when to give up. Raises the
    last problem once the time is used up, or another has given up, and says so if the server asked
    to wait longer than that; `Stopped` if another had given up, or the run was told to stop, before
    the first attempt.
    """
    others = GaveUp() if given_up is None else given_up
    started = time.monotonic()
    tries = 0
    failure: Problem | None = None

    def attempt() -> Result:
        nonlocal tries, failure
        if failure is None:
            others.heed()
        elif others:
            raise failure
        tries += 1
        try:
            return work()
        except Problem as problem:
            failure = problem
            raise

    def pause(state: RetryCallState) -> float:
        asked_for = failure.retry_after if failure is not None else None
        return max(asked_for or 0.0, jitter(state))

    def about_to_wait(state: RetryCallState) -> None:
        cause = failure.cause if failure is not None else "No answer"
        end = _time_of_day(started + patience.seconds)
        tell(f"{cause}; next try in {state.upcoming_sleep:.0f} s, giving up at {end}.")

    jitter = jittered(
        multiplier=patience.first, max=patience.longest, jitter=min(1.0, patience.first)
    )
    retrying = Retrying(
        retry=retry_if_exception(lambda error: _may_pass(error) and not others),
        wait=pause,
        stop=stop_before_delay(patience.seconds),
        before_sleep=about_to_wait,
        sleep=others.wait,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except Problem as problem:
        spent = time.monotonic() - started
        if tries > 1:
            problem.detail = f"{problem.detail}\nTried {tries} times in {spent:.0f} s."
        if problem.may_pass and not others:
            _explain_wait(problem, patience, spent)
        raise


def _time_of_day(moment: float) -> str:
    """Return what the clock will show at a moment of `time.monotonic`."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + moment - time.monotonic()))


def _explain_wait(problem: Problem, patience: Patience, spent: float) -> None:
    """Add to a problem that the server asked to wait longer than we do, if that is why it ended.

    `spent` are the seconds since the first attempt.
    """
    asked_for = problem.retry_after or 0.0
    if asked_for <= patience.longest or spent + asked_for < patience.seconds:
        return
    wait = f"{asked_for:.0f} s" if asked_for < _LONG else counted(round(asked_for / 60), "minute")
    still = "still " if asked_for < patience.seconds else ""
    problem.detail += f"\nThe server asked to wait {wait}, longer than this run {still}waits."
    problem.remedy = f"Wait {wait} before you run again. {problem.remedy}".rstrip()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Problem) and error.may_pass
