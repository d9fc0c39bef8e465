"""The last step of `check`: prove that the index knows this job as a trusted publisher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attested_publish.journey.api_token import api_token
from attested_publish.journey.identify import audience_meanwhile, identify
from attested_publish.journey.trust import beside
from attested_publish.net.untrusted import shown
from attested_publish.problems import NoIdentity

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.journey.run import Run


def prove_publisher(run: Run, distributions: Sequence[Distribution], contents: Contents) -> None:
    """Mint an API token and revoke it at once; before that, judge existing attestations.

    A pending publisher would create its project by this, so a project that does not exist yet
    is left alone; where the job has no identity, that is said.
    """
    if run.settings.password:
        run.recorder.remark("A password is given: whether it is accepted shows on upload.")
        return
    audience = audience_meanwhile(run)
    try:
        identity, plan = identify(run, audience)
    except NoIdentity as problem:
        run.recorder.remark(f"The trusted publisher was not checked: {problem.title}.")
        return
    if beside(run, distributions):
        # sigstore takes a second to import, and most releases have no such files.
        from attested_publish.journey.attest import verify_existing

        verify_existing(run, distributions, identity, plan=plan)
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
