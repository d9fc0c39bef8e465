"""The last step of `check`: prove that the index knows this job as a trusted publisher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.journey.api_token import api_token
from attested_publish.journey.identify import audience_meanwhile, identify
from attested_publish.journey.provenance_forecast import forecast, planned
from attested_publish.journey.trust import beside, may_attest
from attested_publish.net.untrusted import shown
from attested_publish.problems import NoIdentity

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.journey.run import Run
    from attested_publish.journey.served_provenance import ServedProvenance


def prove_publisher(
    run: Run, distributions: Sequence[Distribution], contents: Contents, served: ServedProvenance
) -> None:
    """Mint an API token and revoke it at once; before that, judge existing attestations.

    Before that, too, comes what the index's page will say: `served` is what it has already.

    A pending publisher would create its project by this, so a project that does not exist yet
    is left alone; where the job has no identity, that is said.
    """
    if run.settings.password:
        forecast(run, served, contents, planned(distributions))
        run.recorder.remark("A password is given: whether it is accepted shows on upload.")
        return
    audience = audience_meanwhile(run)
    try:
        identity, plan = identify(run, audience)
    except NoIdentity as problem:
        own = planned(distributions, every=may_attest(run))
        forecast(run, served, contents, own)
        why = f"{problem.title[0].lower()}{problem.title[1:]}"
        run.recorder.remark(f"The trusted publisher was not checked: {why}.")
        return
    usable: Mapping[str, Sequence[object]] = {}
    if beside(run, distributions):
        # sigstore takes a second to import, and most releases have no such files.
        from attested_publish.journey.attest import verify_existing

        usable = verify_existing(run, distributions, identity, plan=plan).usable
    attested = [name for name, found in usable.items() if found]
    own = planned(distributions, identity.publisher, every=plan.attest, attested=attested)
    forecast(run, served, contents, own)
    new = [project for project, exists in contents.projects.items() if not exists]
    if new:
        run.recorder.remark(
            "The trusted publisher was not checked: asking for a token would create "
            f"{shown(', '.join(new))}, which does not exist yet."
        )
        return
    with api_token(run, identity, audience, contents):
        name = run.targets.index.name
        run.recorder.remark(f"{name} knows this job as a trusted publisher.")
