"""The simulated machine of Google Cloud: the claims of its service account's identity tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from attested_publish.identity.tokens import no_token
from attested_publish.rehearsal.jobs.github import made_up_number

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://accounts.google.com"

METADATA = "/computeMetadata/v1/instance/service-accounts/default/identity"
"""The path that a machine requests its tokens from, at the host `metadata`."""

_SECONDS = 30
_DEFAULT_ACCOUNT = "release@sample-project.iam.gserviceaccount.com"


def job_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Return realistic claims of a service account, as text (also for true and false).

    The account is the one that `environment` names, or an invented one. `overrides` sets any
    claim, an empty value removes it; the account's id changes with its address, unless it is
    overridden, too.
    """
    account = environment.get("GOOGLE_SERVICE_ACCOUNT_NAME") or _DEFAULT_ACCOUNT
    account = overrides.get("email") or account
    number = overrides.get("sub") or made_up_number(account)
    claims = {"azp": number, "email": account, "email_verified": "true", "sub": number, **overrides}
    return {name: claims[name] for name in sorted(claims) if claims[name]}


def job_environment(_: Mapping[str, str]) -> dict[str, str]:
    """Return no variables: none indicates this kind of machine or its token issuer."""
    return {}


def token_from(host: str, audience: str) -> str:
    """Return a token from the metadata host at this address, as a machine gets it from `metadata`.

    Raises `IdentityProblem`.
    """
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{host}{METADATA}",
                params={"audience": audience, "format": "full"},
                headers={"Metadata-Flavor": "Google"},
                timeout=_SECONDS,
            )
    except requests.RequestException as error:
        raise no_token(audience, "the metadata host does not answer") from error
    if not answer.ok:
        raise no_token(audience, f"the metadata host answers {answer.status_code}")
    return answer.text
