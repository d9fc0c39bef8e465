"""Distributions: found, copied and hashed once, and known by their names and digests."""

from attested_publish.distributions.copying import Copies, Distribution, copy_privately
from attested_publish.distributions.finding import find, is_sidecar
from attested_publish.distributions.names import Kind, kind_of, release_of, with_single_tags
from attested_publish.distributions.opening import Changed, opened

__all__ = [
    "Changed",
    "Copies",
    "Distribution",
    "Kind",
    "copy_privately",
    "find",
    "is_sidecar",
    "kind_of",
    "opened",
    "release_of",
    "with_single_tags",
]
