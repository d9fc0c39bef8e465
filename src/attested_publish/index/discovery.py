"""Where an index exchanges identity tokens: as it announces (PEP 807, a draft), or as PyPI does.

What is announced is used only at the origin of the upload address: a token for this index must
reach no other. PyPI itself announces nothing yet, and is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import requests

from attested_publish.net.addresses import BadAddress, checked, is_loopback, origin_of
from attested_publish.net.http import ask
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from attested_publish.index.index import Index

IS_USED = True
"""Whether indexes other than PyPI are asked: the draft may still change."""

_MEDIA_TYPE = "application/vnd.pypi.pytp.v1+json"
_SECONDS = 10.0
_LONGEST = 2000


@dataclass(frozen=True)
class TokenExchange:
    """The addresses of an index's token exchange.

    `burn_url` revokes API tokens; `None` if the index has no such address. `ignored` says why an
    announcement was not used; empty if there was none, or it was.
    """

    audience_url: str
    mint_url: str
    burn_url: str | None
    ignored: str = ""


def usual_exchange(index: Index) -> TokenExchange:
    """Return the addresses that PyPI's server has (burning: since August 2026)."""
    root = f"{index.root}/_/oidc"
    return TokenExchange(f"{root}/audience", f"{root}/mint-token", f"{root}/burn-token")


def token_exchange(index: Index, session: requests.Session) -> TokenExchange:
    """Return where the index exchanges tokens; what it announces wrongly is ignored."""
    usual = usual_exchange(index)
    if index.is_pypi or not IS_USED:
        return usual
    parts = urlsplit(index.upload_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    try:
        answer = ask(
            session,
            "GET",
            f"{origin}/.well-known/pytp?discover={quote(parts.path, safe='')}",
            headers={"Accept": _MEDIA_TYPE},
            seconds=_SECONDS,
            follows=False,
        )
    except requests.RequestException:
        # An index that does not know the address need not answer well.
        return usual
    announced = answer.json_object() if answer.status == HTTPStatus.OK else None
    if announced is None:
        return usual
    found = {}
    for name in ("audience-endpoint", "mint-token-endpoint"):
        url = announced.get(name)
        if not isinstance(url, str):
            return usual
        if why_not := _refusal(url, origin):
            return replace(usual, ignored=f"{name} is {shown(url, 200)}: {why_not}")
        found[name] = url
    mint_url = found["mint-token-endpoint"]
    # The draft has no address for revoking.
    burn_url = usual.burn_url if mint_url == usual.mint_url else None
    return TokenExchange(found["audience-endpoint"], mint_url, burn_url)


def _refusal(url: str, origin: str) -> str:
    """Return why an announced address is not used; empty if it may be."""
    try:
        parts = checked(url[: _LONGEST + 1])
    except BadAddress as error:
        return str(error)
    if len(url) > _LONGEST:
        return f"it has more than {_LONGEST} characters"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "it is not encrypted (https)"
    if origin_of(url) != origin_of(origin):
        return "it is not on the host of the upload address"
    return ""
