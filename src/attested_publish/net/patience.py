"""How long to wait: for one answer, and for requests that are tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long to try (`seconds` in total), and how long to pause between two tries.

    The pause doubles from `first` up to `longest` seconds, with some jitter; `Retry-After` from
    the server is respected, within `seconds`.
    """

    seconds: float
    first: float = 1.0
    longest: float = 30.0


@dataclass(frozen=True)
class Deadlines:
    """The patience with each kind of request, and how long one may take in total (seconds).

    `confirmation` is for PyPI, whose pages are cached; `confirmation_elsewhere` for other indexes.
    `answer` is for queries; an upload has `upload_answer`, and more depending on its size.

    Sigstore, whose outages have been minutes long, and uploads get minutes. Before anything
    irreversible, a re-run costs nothing, so failures are reported soon.
    """

    index: Patience = Patience(10)
    identity: Patience = Patience(60)
    audience: Patience = Patience(30)
    mint: Patience = Patience(120)
    burn: Patience = Patience(5)
    certificate: Patience = Patience(300)
    log: Patience = Patience(300)
    upload: Patience = Patience(300)
    confirmation: Patience = Patience(300, first=0.5, longest=15)
    confirmation_elsewhere: Patience = Patience(30, first=0.5, longest=5)
    answer: float = 60.0
    upload_answer: float = 300.0
