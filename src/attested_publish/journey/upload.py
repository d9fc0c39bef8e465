"""The seventh stage: every file to the index, with its attestations."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich import filesize

from attested_publish.attestations.files import written
from attested_publish.console.progress import progress_of
from attested_publish.index.contents import Contents, New, read_contents
from attested_publish.index.upload import Delivery, Outcome
from attested_publish.index.upload import upload as send
from attested_publish.journey.ask_index import skipped
from attested_publish.journey.attest import keep_in_folder
from attested_publish.journey.failures import state_after
from attested_publish.journey.judge import index_judges
from attested_publish.journey.run import State
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem, Stage

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.distributions import Distribution
    from attested_publish.index.credentials import Credentials
    from attested_publish.index.pages import IndexFile
    from attested_publish.journey.run import Run
    from attested_publish.journey.served import Provenances
    from attested_publish.problems import Problem


def upload(
    run: Run,
    distributions: Sequence[Distribution],
    attestations: Mapping[str, Sequence[Attestation]],
    contents: Contents,
    credentials: Credentials,
    *,
    provenances: Provenances | None = None,
) -> list[Distribution]:
    """Upload distributions, each with its attestations where there are some.

    What has arrived is looked at among the `provenances` while others are uploaded.
    Returns those that should be there now: all but the ones that were skipped. Raises
    `UploadProblem`.
    """
    skipped_names: set[str] = set()

    def begun(distribution: Distribution) -> None:
        run.set_state(distribution, State.SENT)
        progress.begun(distribution.filename)

    def sent(distribution: Distribution, count: int) -> None:
        progress.sent(distribution.filename, count)

    def done(distribution: Distribution, outcome: Outcome) -> None:
        if outcome is Outcome.NAME_TAKEN:
            skipped_names.add(distribution.filename)
        elif provenances is not None and run.settings.confirm:
            provenances.look_ahead(distribution)
        note = _note_outcome(run, distribution, outcome)
        progress.done(distribution.filename, distribution.size, note)

    def failed(distribution: Distribution, problem: Problem) -> None:
        run.set_state(distribution, state_after(problem))

    delivery = Delivery(
        index=run.targets.index,
        credentials=credentials,
        parallel=run.settings.parallel_uploads,
        skip_existing=run.settings.skip_existing,
        deadlines=run.targets.deadlines,
        is_there=lambda distribution: _is_there(run, distribution),
        tell=run.printer.waiting,
        sandbox=run.sandbox,
        index_judges=index_judges(run),
        sent=sent,
    )
    keep_in_folder(run, distributions, attestations)
    with (
        written(attestations) as files,
        run.recorder.stage(Stage.UPLOAD, f"to {run.targets.index.name}"),
        progress_of(distributions, run.printer) as progress,
    ):
        new = _new(run, distributions, contents)
        send(distributions, files, delivery, new=new, begun=begun, done=done, failed=failed)
    return [each for each in distributions if each.filename not in skipped_names]


def _note_outcome(run: Run, distribution: Distribution, outcome: Outcome) -> str | None:
    """Keep what became of a file that was sent; return a few words about it."""
    match outcome:
        case Outcome.UPLOADED:
            run.set_state(distribution, State.ARRIVED)
            return filesize.decimal(distribution.size)
        case Outcome.THERE:
            _note_that_another_is_there(run, distribution)
            return "another run uploaded it"
        case Outcome.NAME_TAKEN:
            _note_that_another_is_there(run, distribution)
            served = _served(run, distribution)
            run.add_findings(distribution, [skipped(served, run.targets.index)])
            return None
        case Outcome.DOUBTFUL:
            run.set_state(distribution, State.DOUBTFUL)
            run.printer.warning(
                f"{shown(distribution.filename)}: the answer was a success, but with a page "
                "that does not say that the file was received."
            )
            return None


def _note_that_another_is_there(run: Run, distribution: Distribution) -> None:
    """Note that the index has a file of this name that did not come from this run.

    This run's attestations of it are not served; the confirmation shows which are.
    """
    run.set_state(distribution, State.THERE)
    run.files[distribution.filename].attestations.clear()


def _new(run: Run, distributions: Sequence[Distribution], contents: Contents) -> New:
    """Return what the index does not have; of several projects, one may have been created by now.

    Those with a pending publisher exist since the API token was minted.
    """
    new = contents.new_to_the_index(distributions)
    missing = [each for each in distributions if each.project in new.projects]
    if len(contents.projects) > 1 and missing:
        with contextlib.suppress(IndexProblem):
            now = read_contents(missing, run.pages)
            return replace(new, projects=now.new_to_the_index(missing).projects)
    return new


def _is_there(run: Run, distribution: Distribution) -> bool:
    """Whether the index has a file of this name with the same bytes; unsure is no."""
    served = _served(run, distribution)
    return served is not None and served.sha256 == distribution.sha256


def _served(run: Run, distribution: Distribution) -> IndexFile | None:
    """Return what the index serves under this name; `None`: nothing, or it does not say."""
    try:
        contents = read_contents([distribution], run.pages)
    except IndexProblem:
        return None
    return contents.file(distribution)
