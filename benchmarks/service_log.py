"""What `attested-publish services --log` has recorded."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.rehearsal.request_log import Answered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OF_THE_INDEX = {"upload", "index"}


def read_log(path: Path) -> list[Answered]:
    """Read a whole log, in the order in which the requests ended."""
    return [Answered(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def between(requests: Iterable[Answered], start: float, end: float) -> list[Answered]:
    """Return the requests that began in this time, in seconds since the epoch."""
    return [each for each in requests if start <= each.start <= end]


def server_errors(requests: Sequence[Answered]) -> int:
    """Count the answers of the index that are server errors, such as 500."""
    return sum(
        each.stage in _OF_THE_INDEX
        and each.status is not None
        and each.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        for each in requests
    )
