"""The modes: publish a release to one index or several, check it, or only attest it.

This is what a run needs until its files are found. What uses the network is imported while they are
copied.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from attested_publish.console.recorder import Recorder
from attested_publish.journey.failures import failures_explained
from attested_publish.journey.files import private_copies
from attested_publish.journey.judge import judge, mark_checked, stop_if_refused
from attested_publish.journey.release_tag import stop_without_tag
from attested_publish.journey.run import Run
from attested_publish.net.parallel import meanwhile
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.report import Result
from attested_publish.rules.verdicts import verdicts
from attested_publish.settings import Attestations, Mode, WrongUsage

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.journey.run import Work
    from attested_publish.journey.targets import Targets


def publish(run: Run) -> None:
    """Check, attest, upload and confirm a release.

    Raises a `Problem` where the release has to stop. Nothing irreversible happens while
    anything checkable is unchecked, and what the index has already is done.

    Each of several indexes has its own part of the run; a problem at one is explained there,
    and the next has its turn all the same.
    """
    _at_each_index(run, Mode.PUBLISH)


def check(run: Run) -> None:
    """Find what the index would refuse, for all files at once.

    Where the job has an identity, an API token is minted and revoked at once, to prove
    that the index knows the publisher; nothing else is spent. Several indexes are asked
    as `publish` does it.
    """
    _at_each_index(run, Mode.CHECK)


def check_files(run: Run) -> None:
    """Find what can be known from the files alone, without any network."""
    stop_without_tag(run)
    with verdicts() as run.verdicts, private_copies(run) as distributions:
        judge(run, distributions)
        stop_if_refused(run)
        mark_checked(run)
    run.result = Result.DONE


def attest(run: Run) -> None:
    """Sign and verify, and leave the attestation files; uploads nothing.

    Raises `WrongUsage` where the settings want no attestations, else a `Problem`.
    """
    if run.settings.attestations is Attestations.NEVER:
        raise WrongUsage("attest makes attestations, but attestations is false: drop one of them.")
    with _distributions_and_work(run, Mode.ATTEST) as (distributions, do):
        do(run, distributions)
    run.result = Result.DONE


@contextlib.contextmanager
def _distributions_and_work(run: Run, mode: Mode) -> Iterator[tuple[Sequence[Distribution], Work]]:
    """Copy the files, and import meanwhile what a mode does with them."""
    stop_without_tag(run)
    loaded = functools.cache(lambda: meanwhile(_stages))
    with verdicts() as run.verdicts, private_copies(run, loaded) as distributions:
        stages = loaded()()
        with stages(run, mode) as work:
            yield distributions, work


def _stages() -> Callable[[Run, Mode], AbstractContextManager[Work]]:
    # requests, and what stands on it, is imported here in the background while files are copied.
    from attested_publish.journey.at_index import stages

    return stages


def _at_each_index(run: Run, mode: Mode) -> None:
    """Do what a mode does with the files at every index of a run, in order.

    With one index a problem is raised. With several it is explained in the index's part of the
    run, and the worst result of any of them is that of the run.
    """
    if run.targets.further:
        run.parts = [_part(run, targets) for targets in run.targets.each()]
    with _distributions_and_work(run, mode) as (distributions, do):
        if not run.parts:
            do(run, distributions)
        for part in run.parts:
            part.add_files(distributions)
        for number, part in enumerate(run.parts, 1):
            run.part = part
            part.recorder.current = run.recorder.current
            run.printer.heading(f"{part.name}, index {number} of {len(run.parts)}")
            with failures_explained(part), ended_when_stopped() as afterwards:
                part.verdicts = run.verdicts
                part.means = replace(run.means, afterwards=afterwards)
                do(part, distributions)
                part.result = Result.DONE
            run.recorder.current = part.recorder.current
    run.part = None
    run.result = Result.worst(Result.DONE, *(part.result for part in run.parts))
    if run.parts:
        run.printer.heading(f"{len(run.parts)} indexes")
        for part in run.parts:
            report = run.printer.item if part.result is Result.DONE else run.printer.warning
            report(f"{part.name}: {part.result}")


def _part(run: Run, targets: Targets) -> Run:
    """Return the part of a run at one of its indexes; it shares what is known of the files."""
    recorder = Recorder(run.printer, run.recorder.started)
    part = Run(run.mode, run.settings, recorder, run.mask, run.release, name=targets.index.name)
    part.targets = targets
    return part
