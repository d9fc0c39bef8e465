"""What is done with the files of a release: at one index, or by those who only sign."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.identity.tokens import AmbientIdentity, detect
from attested_publish.index.package import get_ready
from attested_publish.journey.ask_index import ask_index, contents_meanwhile
from attested_publish.journey.identify import audience_meanwhile, identify
from attested_publish.journey.judge import judge, mark_checked, stop_if_refused, stop_if_unreadable
from attested_publish.journey.prove import prove_publisher
from attested_publish.journey.provenance_forecast import provenance_meanwhile
from attested_publish.journey.releases import print_releases
from attested_publish.journey.run import Means, Run
from attested_publish.journey.trust import may_attest, stop_if_untrusted, trust_of
from attested_publish.net.http import new_session
from attested_publish.net.parallel import meanwhile
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.settings import Mode

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.journey.identify import Signer
    from attested_publish.journey.run import Work
    from attested_publish.journey.served_provenance import ServedProvenance

    _Deliver = Callable[
        [Run, Sequence[Distribution], Contents, Signer | None, ServedProvenance], None
    ]


@contextlib.contextmanager
def stages(run: Run, mode: Mode) -> Iterator[Work]:
    """Open what the stages work with, and give what a mode does with the distributions."""
    with (
        new_session(read=run.targets.deadlines.answer) as session,
        ended_when_stopped() as afterwards,
    ):
        ambient = AmbientIdentity(
            run.targets.ambient or detect,
            run.targets.deadlines.identity,
            run.mask,
            run.printer.waiting,
            is_local=run.targets.is_identity_local,
        )
        run.means = Means(session, ambient, afterwards)
        yield _WORK[mode]


def _publish(run: Run, distributions: Sequence[Distribution]) -> None:
    answer = contents_meanwhile(run, distributions)
    served = provenance_meanwhile(run, distributions, answer)
    delivery = meanwhile(_delivery)
    if may_attest(run):
        trust_of(run)
    judge(run, distributions)
    contents = ask_index(run, distributions, answer)
    stop_if_refused(run)
    missing = contents.missing_of(distributions)
    stop_if_unreadable(run, missing)
    if missing:
        get_ready(run.sandbox)
        signer = None if run.settings.password else identify(run, audience_meanwhile(run))
        stop_if_untrusted(run)
        deliver, _ = delivery()
        deliver(run, missing, contents, signer, served)
    else:
        run.printer.notice("The index has a file of each name already: there is nothing to upload.")
    print_releases(run)


def _delivery() -> tuple[_Deliver, Work]:
    # sigstore takes most of a second to import: a release has that done in the background.
    from attested_publish.journey.deliver import attest_only, deliver

    return deliver, attest_only


def _check(run: Run, distributions: Sequence[Distribution]) -> None:
    answer = contents_meanwhile(run, distributions)
    served = provenance_meanwhile(run, distributions, answer)
    judge(run, distributions)
    contents = ask_index(run, distributions, answer)
    stop_if_refused(run)
    mark_checked(run)
    stop_if_untrusted(run)
    prove_publisher(run, contents.missing_of(distributions), contents, served)


def _attest(run: Run, distributions: Sequence[Distribution]) -> None:
    _, attest_only = _delivery()
    attest_only(run, distributions)


_WORK: Mapping[Mode, Work] = {Mode.PUBLISH: _publish, Mode.CHECK: _check, Mode.ATTEST: _attest}
"""`rehearse` publishes, to an index of its own."""
