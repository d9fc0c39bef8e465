"""Upload addresses: which addresses take distributions, and what people write instead of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from attested_publish.net.addresses import (
    PYPI_UPLOAD_URL,
    TESTPYPI_UPLOAD_URL,
    BadAddress,
    checked,
    is_loopback,
)

if TYPE_CHECKING:
    from urllib.parse import SplitResult


class WellKnown(NamedTuple):
    """One of the two public indexes: its name, and its only addresses for uploads and pages."""

    name: str
    upload_url: str
    simple_url: str


PYPI = WellKnown("PyPI", PYPI_UPLOAD_URL, "https://pypi.org/simple/")
TESTPYPI = WellKnown("TestPyPI", TESTPYPI_UPLOAD_URL, "https://test.pypi.org/simple/")

_DOMAINS = ("pypi.org", "pypi.io", "pythonhosted.org", "python.org")
"""Domains of the people who run PyPI: no other index can be at a host below them."""

_NAMES = {"pypi": PYPI, "testpypi": TESTPYPI, "test.pypi": TESTPYPI, "test-pypi": TESTPYPI}
"""What twine and its configuration file call the indexes."""

_HTTPS_PORTS = frozenset({None, 443})

_CODE_HOSTS = ("github.com", "githubusercontent.com", "github.io", "ghcr.io", "bitbucket.org")
"""Domains below which nothing takes distributions."""

_PACKAGES_AT = {
    "gitlab.com": ("/api/", "https://gitlab.com/api/v4/projects/ID/packages/pypi"),
    "codeberg.org": ("/api/", "https://codeberg.org/api/packages/OWNER/pypi"),
}
"""Hosts of code that have an index too: where its paths begin, and an example."""

_QUOTES = "\"'`<>\u2018\u2019\u201c\u201d"
_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*(?P<host>[A-Za-z0-9.-]*)")
_SEPARATORS = re.compile(r"[\s,;|]+")


def for_upload(url: str) -> SplitResult:
    """Split an address that distributions can be uploaded to, as `checked` does.

    PyPI's server requires the trailing slash of `/legacy/`, which is added if it is missing.
    Raises `BadAddress`, also for an address that would send a secret unencrypted to another
    machine, that is PyPI's but accepts no uploads, or that is certainly no index. Its text
    contains the right address, where that is known.
    """
    if (mistake := _mistake_in(url)) is not None:
        raise BadAddress(mistake)
    meant = well_known(url)
    try:
        parts = checked(url)
    except BadAddress as error:
        advice = "; use user and password" if "credentials" in str(error) else ""
        if meant is not None:
            advice += f"; the upload address of {meant.name} is {meant.upload_url}"
        elif "://" not in url:
            advice += "; write the whole address, which begins with https://"
        raise BadAddress(f"{error}{advice}") from None
    if parts.path.endswith("/legacy"):
        parts = parts._replace(path=f"{parts.path}/")
    host = parts.hostname or ""
    is_encrypted = parts.scheme == "https"
    if meant is not None:
        origin = f"https://{host}{parts.path}"
        if not is_encrypted or origin != meant.upload_url or parts.port not in _HTTPS_PORTS:
            raise BadAddress(f"{meant.name} accepts uploads at {meant.upload_url} only")
        return parts
    _refuse_code_hosts(host, parts.path)
    if not is_encrypted and not is_loopback(host):
        raise BadAddress("tokens would be sent unencrypted: plain http is for loopback only")
    return parts


def well_known(text: str) -> WellKnown | None:
    """Return which public index an address or name is of, whatever else is wrong with it.

    For what to tell people, and what to ask of their credentials, never to decide where a secret
    may go.
    """
    text = text.strip().strip(_QUOTES)
    if text.lower() in _NAMES:
        return _NAMES[text.lower()]
    match = _HOST.match(text)
    host = match["host"].lower() if match else ""
    if match is None or "@" in text[match.end() :].partition("/")[0]:
        return None
    if text[match.end() : match.end() + 1] not in {"", "/", ":", "?", "#", ",", ";", " "}:
        # The host goes on in a way that `checked` refuses.
        return None
    if not _is_below(host, _DOMAINS):
        return None
    return TESTPYPI if "test" in host else PYPI


def _mistake_in(text: str) -> str | None:
    """Return what is wrong with the writing of an address, whatever it is the address of."""
    if text[:1] in _QUOTES or text[-1:] in _QUOTES:
        return "it is in quotes or brackets; write the address without them"
    if text.startswith(("- ", "* ")):
        return "it begins like an item of a list; write the address alone, one on each line"
    if "${" in text or text.startswith(("$", "%")):
        return (
            "it contains an expression or variable that has not been evaluated; in a workflow, "
            "write ${{ vars.NAME }}, and check the name"
        )
    pieces = [piece for piece in _SEPARATORS.split(text) if piece]
    if len(pieces) > 1 and all(map(_may_be_an_address, pieces)):
        return "it is several addresses in one line; write each on a line of its own"
    if len(pieces) == 1 and pieces[0] != text:
        return "it ends or begins with a separator; write the address alone, one on each line"
    return None


def _may_be_an_address(piece: str) -> bool:
    return piece.lower().startswith(("http:/", "https:/")) or well_known(piece) is not None


def _refuse_code_hosts(host: str, path: str) -> None:
    """Raise `BadAddress` for a place where code is, but no index."""
    if _is_below(host, _CODE_HOSTS):
        raise BadAddress(
            f"{host} is no package index; for PyPI leave repository-url out, or write "
            f"{PYPI_UPLOAD_URL}"
        )
    if host in _PACKAGES_AT:
        start, example = _PACKAGES_AT[host]
        if not path.startswith(start):
            raise BadAddress(f"it is not a package index; one of {host} is at {example}")


def _is_below(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
