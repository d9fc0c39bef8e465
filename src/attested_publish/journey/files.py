"""The first stage: a private copy of the distributions, hashed once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import filesize

from attested_publish.console.progress import FEW
from attested_publish.distributions import Distribution, copy_privately, is_sidecar
from attested_publish.journey.trust import beside
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import Stage, counted
from attested_publish.rules.bounds import DISTRIBUTION_CAP
from attested_publish.settings import VerifyMetadata

if TYPE_CHECKING:
    from attested_publish.journey.run import Run

_SHOWN_ASIDE = 20
_SHOWN_PROJECTS = 10
_FEW_PLACES = 3


@contextlib.contextmanager
def private_copies(
    run: Run, begin: Callable[[], object] = lambda: None
) -> Iterator[tuple[Distribution, ...]]:
    """Copy the distributions to a folder that is gone afterwards; they are sorted by filename.

    Each is judged from when its copy is there. `begin` is called once there is something to copy.
    Raises `FilesProblem`.
    """
    is_judged = run.settings.verify_metadata is not VerifyMetadata.NOTHING

    def is_too_large(size: int) -> bool:
        return is_judged and size > DISTRIBUTION_CAP

    def copied(distribution: Distribution) -> None:
        if is_judged:
            run.verdicts.begin(distribution)

    def found() -> None:
        if is_judged:
            run.verdicts.prepare()
        begin()

    with ended_when_stopped() as until_done:
        with run.recorder.stage(Stage.FILES, f"a private copy of what is in {_places(run)}"):
            copies = until_done.enter_context(
                copy_privately(run.settings.packages_dir, is_too_large, copied, found)
            )
            run.add_files(copies.distributions)
            _print_files(run, copies.distributions)
            _print_projects(run, copies.distributions)
            _print_ignored(run, copies.ignored, copies.distributions)
        yield copies.distributions


def _places(run: Run) -> str:
    first, more = run.settings.packages_dir[:_FEW_PLACES], run.settings.packages_dir[_FEW_PLACES:]
    return ", ".join(map(shown, first)) + (f" and {len(more)} more" if more else "")


def _print_files(run: Run, distributions: Sequence[Distribution]) -> None:
    """Print which files there are: many of them in one line, unless their digests are wanted."""
    printer = run.printer
    if len(distributions) > FEW:
        size = filesize.decimal(sum(each.size for each in distributions))
        printer.item(f"{len(distributions)} files", size)
    for each in distributions:
        if len(distributions) <= FEW:
            printer.item(shown(each.filename), filesize.decimal(each.size))
        if not run.settings.print_hash or not each.sha256:
            continue
        if len(distributions) <= FEW:
            printer.detail(f"sha256       {each.sha256}")
            printer.detail(f"blake2b-256  {each.blake2b_256}")
            printer.detail(f"md5          {each.md5}")
        else:
            # In the form of sha256sum: one line a file.
            printer.detail(f"{each.sha256}  {shown(each.filename)}")


def _print_projects(run: Run, distributions: Sequence[Distribution]) -> None:
    """Print whose files these are, where one may have come into the folder by mistake."""
    projects = sorted({each.project for each in distributions if each.project})
    if len(projects) > 1:
        more = len(projects) - len(projects[:_SHOWN_PROJECTS])
        named = ", ".join(map(shown, projects[:_SHOWN_PROJECTS])) + (
            f" and {more} more" if more else ""
        )
        run.printer.notice(f"These files belong to {len(projects)} projects: {named}.")


def _print_ignored(
    run: Run, ignored: Sequence[Path], distributions: Sequence[Distribution]
) -> None:
    """Print which files are left out; those that may hold attestations are looked at later."""
    existing = beside(run, distributions)
    aside = [path for path in ignored if path not in existing]
    for path in aside[:_SHOWN_ASIDE]:
        kind = "not a distribution itself" if is_sidecar(path) else "not a distribution"
        run.printer.notice(f"{shown(path.name)} is {kind}, and is ignored.")
    if more := len(aside) - len(aside[:_SHOWN_ASIDE]):
        run.printer.notice(f"{counted(more, 'more file')} ignored.")
