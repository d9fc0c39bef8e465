"""Distributions that are packed into an archive once more, as workflow artifacts are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from attested_publish.distributions import is_sidecar, kind_of
from attested_publish.rules.wording import first, refused

if TYPE_CHECKING:
    from attested_publish.findings import Finding


def nested_findings(filename: str, names: Iterable[str]) -> Iterator[Finding]:
    """Report an archive of which all members (`names`) are distributions, at most a folder down.

    What else is wrong with it as a distribution follows from this. Wheels among other members are
    data of a package.
    """
    distributions = []
    for name in names:
        folder, _, base = name.rpartition("/")
        if not base or base.startswith(".") or is_sidecar(PurePosixPath(base)):
            continue
        if "/" in folder or kind_of(base) is None:
            return
        distributions.append(base)
    if distributions:
        unpack = "tar -xzf" if filename.endswith(".tar.gz") else "unzip"
        yield refused(
            "archive-of-distributions",
            f"The file is not a distribution, but an archive of distributions: "
            f"{first(sorted(distributions))}.",
            f"Unpack it first (`{unpack}`), and remove it from the folder. For a workflow's "
            "artifact, actions/download-artifact does that, unless `skip-decompress` is set.",
        )
