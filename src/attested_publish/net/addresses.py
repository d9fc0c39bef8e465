"""Addresses: the well-known publish targets, and which forms of addresses are allowed.

The host that people see must be the one that is contacted. Libraries differ in how they parse
unusual spellings (backslashes, user names, escapes, numbers), so these are refused.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

PYPI_UPLOAD_URL = "https://upload.pypi.org/legacy/"
TESTPYPI_UPLOAD_URL = "https://test.pypi.org/legacy/"

_PARTS = re.compile(r"(?:https?)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(
    r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_NAME = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LARGEST_PORT = 65535


class BadAddress(ValueError):
    """A text is not an allowed address; the error's text says why ("it …")."""


def checked(url: str) -> SplitResult:
    """Split an http(s) address; scheme and host are returned in lower case.

    The host consists of letters, digits, dots and hyphens, or is an IP address. Raises
    `BadAddress` for everything else, and for an address that contains credentials.
    """
    match = _PARTS.fullmatch(url)
    if match is None:
        raise BadAddress("it is not an http(s) URL")
    authority = match["authority"]
    if _CONTROL.search(url):
        raise BadAddress("it contains control characters")
    if "@" in authority:
        raise BadAddress("it contains credentials")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        is_bracketed = "[" in authority
        raise BadAddress(
            "it is not a URL"
            if is_bracketed or not authority
            else "its host may have only letters, digits, dots and hyphens, and its port a number"
        )
    if not _is_host(found["host"]):
        raise BadAddress("its host is neither a name nor an IP address")
    if int(found["port"] or 1) > _LARGEST_PORT:
        raise BadAddress("its port is too large")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadAddress("it is not a URL") from error
    return parts._replace(netloc=authority.lower())


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host.lower() == "localhost":
        return True
    address = _ip_address(host)
    return address is not None and address.is_loopback


def leads_here(host: str) -> bool:
    """Whether a host may be this machine, also if only some systems resolve it so."""
    name = host.lower().rstrip(".")
    address = _ip_address(name)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return name == "localhost" or name.endswith(".localhost")


def refuse_step(origin: str, target: str) -> None:
    """Refuse a link or redirect from one address to another that is not allowed.

    Nothing may lead from https to plain http, or from another machine to this one. Raises
    `BadAddress`, also for a target that is not an address.
    """
    there = checked(target)
    here = urlsplit(origin)
    if here.scheme == "https" and there.scheme != "https":
        raise BadAddress("it is not encrypted (https)")
    is_other = (here.hostname or "").lower() != there.hostname
    if is_other and leads_here(there.hostname or "") and not leads_here(here.hostname or ""):
        raise BadAddress("it points to this machine")


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a valid address; the port also where it is the usual one."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _ip_address(host) is not None
    if _NAME.fullmatch(host) is None:
        return False
    # A host that ends in a number is an IPv4 address (WHATWG URL, 3.5), written in plain form.
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is None or _ip_address(host) is not None


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
