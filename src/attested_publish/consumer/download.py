"""Download a file only to compute its digest: limited in size and time, and not stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

from attested_publish.net.addresses import BadAddress, refuse_step
from attested_publish.net.connections import TooSlow, within
from attested_publish.net.http import answer_of, pieces
from attested_publish.net.unreachable import may_pass, why_unreachable
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from attested_publish.index.pages import IndexFile


class NotFetched(Exception):
    """A file could not be downloaded; the text is one sentence. `may_pass`: a retry may succeed."""

    def __init__(self, why: str, *, may_pass: bool = False) -> None:
        super().__init__(why)
        self.may_pass = may_pass


@dataclass(frozen=True)
class Limits:
    """The limits for one file: its size (bytes), and the time (seconds).

    `others` are the seconds after which no more provenance is read of files that are not to be
    verified themselves: what is not read by then is unknown.
    """

    size: int = 2_000_000_000
    seconds: float = 600.0
    others: float = 60.0


def sha256_of(file: IndexFile, page: str, session: requests.Session, limits: Limits) -> str:
    """Download a file from an index and return its sha256 (hexadecimal).

    `page` is the address of the page that lists the file, whose own address may be relative to
    it. If the index gives a size, no more than that is read. Raises `NotFetched`.
    """
    url = address(file.url, page)
    if file.size > limits.size:
        raise NotFetched(f"It has {file.size} bytes; the limit for downloads is {limits.size}.")
    try:
        return _read(url, file.size or limits.size, session, limits)
    except TooSlow as error:
        raise NotFetched(f"It was not downloaded after {limits.seconds:.0f} seconds.") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise NotFetched(
            f"The connection to {shown(url, 200)} was lost in the middle.", may_pass=True
        ) from error
    except requests.RequestException as error:
        raise NotFetched(
            f"No answer from {shown(url, 200)}: {why_unreachable(error)}.",
            may_pass=may_pass(error),
        ) from error


def address(url: str, page: str) -> str:
    """Return the full address of what an index's `page` lists as `url`.

    Raises `NotFetched` for an unencrypted address, whose answer could be changed in transit, and
    for an address on this machine that another machine lists.
    """
    try:
        full = urljoin(page, url)
        refuse_step(page, full)
    except BadAddress as error:
        raise NotFetched(f"The index lists {shown(full, 200)}, but {error}.") from None
    except ValueError:
        raise NotFetched(f"The index lists {shown(url, 200)}, which is not an address.") from None
    return full


def _read(url: str, most: int, session: requests.Session, limits: Limits) -> str:
    sha256 = hashlib.sha256()
    size = 0
    # With a content encoding, it would not be the bytes that were hashed.
    asked = {"Accept-Encoding": "identity"}
    with within(limits.seconds), session.get(url, stream=True, headers=asked) as response:
        if response.status_code != HTTPStatus.OK:
            answer = answer_of(response, b"")
            raise NotFetched(
                f"{shown(url, 200)} answered {answer.status}.", may_pass=answer.may_pass
            )
        for piece in pieces(response):
            size += len(piece)
            if size > most:
                raise NotFetched(f"The index serves more than {most} bytes for it.")
            sha256.update(piece)
    return sha256.hexdigest()
