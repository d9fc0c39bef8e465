"""What twine sends of a distribution, found out in a child process (see `twine_package`)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attested_publish.net.parallel import in_parallel, meanwhile
from attested_publish.problems import Problem
from attested_publish.sandbox.pool import CHILDREN, BeyondBounds, Unreadable
from attested_publish.sandbox.process import module_of

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.sandbox.pool import Sandbox

READ = "attested_publish.index.twine_package:read"
"""The function that the child process calls."""


@dataclass(frozen=True)
class Package:
    """What a file's upload form is made from: its metadata, and twine's names for its kind.

    `metadata` is packaging's RawMetadata, `filetype` `sdist` or `bdist_wheel`.
    """

    metadata: Mapping[str, Any]
    python_version: str
    filetype: str


def get_ready(sandbox: Sandbox) -> None:
    """Have a child import twine in the background, as distributions are sure to be read."""

    def load() -> None:
        # Why it cannot, shows when it is asked.
        with contextlib.suppress(BeyondBounds, Unreadable, Problem):
            sandbox.load(module_of(READ))

    meanwhile(load)


def read_package(sandbox: Sandbox, distribution: Distribution, *, index_judges: bool) -> Package:
    """Have a distribution read as twine does; with `index_judges`, without twine's judgement.

    Raises `BeyondBounds`, `Unreadable`.
    """
    path, filename, size = distribution.path, distribution.filename, distribution.size
    question = {"index_judges": index_judges}
    return Package(**sandbox.ask_about(READ, path, filename, size, question))


def unreadable(
    sandbox: Sandbox, distributions: Sequence[Distribution], *, index_judges: bool
) -> dict[str, str]:
    """Find the files that twine cannot read, and why, by filename; see `read_package`."""

    def why_unreadable(distribution: Distribution) -> str:
        try:
            read_package(sandbox, distribution, index_judges=index_judges)
        except (BeyondBounds, Unreadable) as why:
            return str(why)
        return ""

    found = {
        distribution.filename: why
        for distribution, why in in_parallel(why_unreadable, distributions, threads=CHILDREN)
    }
    return {each.filename: why for each in distributions if (why := found[each.filename])}
