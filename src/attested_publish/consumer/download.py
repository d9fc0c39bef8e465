"""Download a file only to know its digest: bounded in size and time, kept nowhere."""

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
    from attested_publish.index.index import IndexFile


class NotFetched(Exception):
    """A file could not be downloaded; the text is one sentence. `may_pass`: it may be, later."""

    def __init__(self, why: str, *, may_pass: bool = False) -> None:
        super().__init__(why)
        self.may_pass = may_pass


@dataclass(frozen=True)
class Limits:
    """How much of one file is read at most (bytes), and for how long (seconds)."""

    size: int = 2_000_000_000
    seconds: float = 600.0


def sha256_of(file: IndexFile, page: str, session: requests.Session, limits: Limits) -> str:
    """Download what an index serves of a file and return its sha256 (hexadecimal).

    `page` is the address that listed the file, as its own may be relative to it. Where
    the index says a size, no more than that is read. Raises `NotFetched`.
    """
    url = address(file.url, page)
    if file.size > limits.size:
        raise NotFetched(f"It has {file.size} bytes; more than {limits.size} are not downloaded.")
    try:
        return _read(url, file.size or limits.size, session, limits)
    except TooSlow as error:
        raise NotFetched(f"It was not there after {limits.seconds:.0f} seconds.") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise NotFetched(
            f"The answer of {shown(url, 200)} broke off in the middle.", may_pass=True
        ) from error
    except requests.RequestException as error:
        raise NotFetched(
            f"No answer from {shown(url, 200)}: {why_unreachable(error)}.",
            may_pass=may_pass(error),
        ) from error


def address(url: str, page: str) -> str:
    """Return the full address of what an index's `page` lists as `url`.

    Raises `NotFetched` for one where anybody on the way could change the answer, and for one
    on this machine that another machine lists.
    """
    try:
        full = urljoin(page, url)
        refuse_step(page, full)
    except BadAddress as error:
        raise NotFetched(f"The index lists {shown(full, 200)}, but {error}.") from None
    except ValueError:
        raise NotFetched(f"The index lists {shown(url, 200)}, which is no address.") from None
    return full


def _read(url: str, most: int, session: requests.Session, limits: Limits) -> str:
    sha256 = hashlib.sha256()
    size = 0
    # Compressed on the way, it would not be the bytes that were hashed.
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
                raise NotFetched(f"More than {most} bytes are served as it.")
            sha256.update(piece)
    return sha256.hexdigest()
