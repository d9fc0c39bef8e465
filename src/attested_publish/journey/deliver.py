"""The second half of a release: API token, attestations, upload, confirmation.

It is loaded in the background while the first half is at work: sigstore, which it stands on, takes
most of a second to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.attestations.verify import policy_for
from attested_publish.journey.api_token import api_token, given_credentials
from attested_publish.journey.attest import (
    begin_signing,
    keep,
    prove_folders,
    reuse,
    sign,
    unsigned,
    verify_existing,
)
from attested_publish.journey.attestation_plan import refuse_to_sign
from attested_publish.journey.confirm import (
    confirm,
    doubtful_of,
    provenances_of,
    stop_if_doubtful,
)
from attested_publish.journey.identify import audience_meanwhile, identify_signer
from attested_publish.journey.judge import judge, stop_if_refused
from attested_publish.journey.provenance_forecast import forecast, planned
from attested_publish.journey.trust import trust_of
from attested_publish.net.parallel import meanwhile

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.journey.identify import Signer
    from attested_publish.journey.run import Run
    from attested_publish.journey.served import Provenances
    from attested_publish.journey.served_provenance import ServedProvenance


def deliver(
    run: Run,
    missing: Sequence[Distribution],
    contents: Contents,
    signer: Signer | None,
    served: ServedProvenance,
) -> None:
    """Attest and upload what the index does not have, and wait until it serves that.

    Without a `signer` the given password is used. `served` is what the index has already.
    """
    provenances: Provenances | None = None
    if signer is None:
        # Meanwhile the rest of what the index has is read.
        upload = _uploading()
        forecast(run, served, contents, planned(missing))
        sent = upload(run, missing, {}, contents, given_credentials(run))
    else:
        identity, plan = signer
        if run.settings.attestations_dir is not None and plan.sends:
            prove_folders(run, missing)
        ready = verify_existing(run, missing, identity, plan)
        reuse(run, ready, missing, identity, plan)
        attested = [name for name, usable in ready.usable.items() if usable]
        own = planned(missing, identity.publisher, every=plan.attest, attested=attested)
        # What need not be waited for yet is said before the upload, at the latest.
        is_forecast = served.is_due
        if is_forecast:
            forecast(run, served, contents, own)
        to_sign = unsigned(ready, missing, plan)
        signing = begin_signing(run, to_sign) if to_sign else None
        uploading = meanwhile(_uploading)
        with api_token(run, identity, audience_meanwhile(run), contents) as token:
            made = sign(run, to_sign, identity, signing) if signing is not None else {}
            if not is_forecast:
                forecast(run, served, contents, own)
            attestations = ready.together(made)
            if not contents.unreadable:
                provenances = provenances_of(run, attestations, identity)
            upload = uploading()
            sent = upload(run, missing, attestations, contents, token, provenances=provenances)
    to_confirm = sent if run.settings.confirm else doubtful_of(run, sent)
    if to_confirm and not contents.unreadable:
        confirm(run, to_confirm, provenances)
    stop_if_doubtful(run)


def _uploading() -> Callable[..., list[Distribution]]:
    # twine takes a while to import: that is done while the certificate is waited for.
    from attested_publish.journey.upload import upload

    return upload


def attest_only(run: Run, distributions: Sequence[Distribution]) -> None:
    """Sign what has no valid attestation yet, and leave the attestation files.

    Nothing is signed that the index would refuse, or where no file could be left.
    """
    prove_folders(run, distributions)
    judge(run, distributions)
    stop_if_refused(run)
    trust_of(run)
    identity, plan = identify_signer(run)
    # What nobody could verify afterwards is not signed.
    policy_for(identity.publisher)
    ready = verify_existing(run, distributions, identity, plan)
    to_sign = unsigned(ready, distributions, plan)
    made: Mapping[str, Sequence[Attestation]] = {}
    if to_sign:
        refuse_to_sign(
            run.settings.attestations,
            identity,
            run.targets.index,
            is_public_log=run.targets.is_public_log,
        )
        made = sign(run, to_sign, identity, begin_signing(run, to_sign))
    keep(run, distributions, ready, made)
