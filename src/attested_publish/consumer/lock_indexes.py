"""Compare the index that a lock names with the one it is verified against."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attested_publish.consumer.lock_findings import LockFinding, Rule, finding
from attested_publish.consumer.look_alikes import differ_only_in_look
from attested_publish.net.addresses import origin_of
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attested_publish.consumer.locks.model import LockedPackage
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

_REMEDY = (
    "If you want packages from there, verify that lock against its own index (--index-url); "
    "otherwise lock again with the right index."
)


def other_indexes(package: LockedPackage, index: Index) -> Iterator[LockFinding]:
    """Find the indexes of an entry that are not the one verified against."""
    roots = [_normal(url.removesuffix("/p/")) for url in index.simple_urls("p")]
    for url in package.index_urls:
        if _normal(url) in roots:
            continue
        how = _how_it_deceives(url, index.host)
        message = f"The lock gets {package.name} from {shown(without_credentials(url), 200)}, not "
        yield finding(
            Rule.INDEX_UNEXPECTED, package, f"{message}from {roots[0]}.{how and ' ' + how}", _REMEDY
        )


def deceptive_hosts(
    package: LockedPackage, served: Iterable[IndexFile], index: Index
) -> Iterator[LockFinding]:
    """Find files whose address in the lock pretends to be where the index serves them.

    Another host alone is no finding: a mirror may have the files, whose bytes the hash decides.
    """
    hosts = {origin[1] for each in served if (origin := _origin(each.url)) is not None}
    hosts.add(index.host)
    for file in package.files:
        if file.url is None:
            continue
        origin = _origin(file.url)
        if origin is not None and origin[1] in hosts:
            continue
        how = next(filter(None, (_how_it_deceives(file.url, host) for host in sorted(hosts))), "")
        if how:
            yield finding(
                Rule.INDEX_UNEXPECTED,
                package,
                f"The lock gets a file of {package.name} from "
                f"{shown(without_credentials(file.url), 200)}, where {index.name} does not serve "
                f"it. {how}",
                _REMEDY,
                file.line,
            )


def _origin(url: str) -> tuple[str, str, int | None] | None:
    if "@" in url.partition("://")[2].partition("/")[0]:
        return None
    try:
        return origin_of(url)
    except ValueError:
        return None


def _normal(url: str) -> str:
    """Return an address with scheme, host and port in one form, and without its last slash."""
    try:
        parts = urlsplit(url)
        scheme, host, port = origin_of(url)
    except ValueError:
        return url
    if parts.username is not None:
        return url
    return f"{scheme}://{host}:{port}{parts.path.rstrip('/')}{parts.query and '?' + parts.query}"


def _how_it_deceives(url: str, wanted: str) -> str:
    """Return how an address is made to look like one of a host; empty if it is not."""
    authority = url.partition("://")[2].partition("/")[0]
    userinfo, _, host = authority.rpartition("@")
    name = host.rpartition(":")[0] or host
    if userinfo:
        return f"What looks like its host is a user name: the host is {shown(name, 100)}."
    lowered = name.lower().rstrip(".")
    if lowered == wanted:
        return ""
    if lowered.startswith(f"{wanted}."):
        return f"Its host only begins with {wanted}: it belongs to {shown(name, 100)}."
    alike = differ_only_in_look(wanted, _decoded(lowered))
    if alike:
        return f"Its host looks like {wanted}. {alike}"
    return ""


def _decoded(host: str) -> str:
    """Return a host with its internationalized labels as they are displayed."""
    try:
        return host.encode("ascii").decode("idna")
    except (UnicodeError, ValueError):
        return host
