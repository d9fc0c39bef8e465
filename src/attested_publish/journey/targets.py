"""Where a release goes and who signs for it: all that a rehearsal replaces."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attested_publish.attestations.trust_config import read as trust_config_at
from attested_publish.identity.refs import ref_of
from attested_publish.index.index import Index
from attested_publish.net.patience import Deadlines

if TYPE_CHECKING:
    from attested_publish.identity.tokens import Ambient
    from attested_publish.settings import Settings


@dataclass(frozen=True)
class Targets:
    """Where a release goes, who signs for it, and where its identity comes from.

    It goes to `index`, and after that to each index in `further`. `trust_config` is the
    ClientTrustConfig JSON of a Sigstore instance; `None` is the public one. `ambient` gives
    identity tokens; `None` is the job itself. `is_identity_local`: whether the identity's provider
    is on loopback; with `None` the job's variables decide. `ref` is the full Git ref that the job
    runs on, empty if it is not known. `deadlines` are how patiently they are asked.
    """

    index: Index
    trust_config: str | None = None
    ambient: Ambient | None = None
    is_identity_local: bool | None = None
    ref: str = ""
    deadlines: Deadlines = field(default_factory=Deadlines)
    further: tuple[Index, ...] = ()

    def each(self) -> list[Targets]:
        """Return the targets with one of the indexes at a time, in order."""
        return [replace(self, index=index, further=()) for index in (self.index, *self.further)]

    @property
    def is_public_log(self) -> bool:
        """Whether signatures enter Sigstore's public transparency log."""
        return self.trust_config is None


def chosen(settings: Settings) -> Targets:
    """Return the targets that the settings name.

    Raises `IndexProblem` for an address that cannot be an index, which the settings have been
    checked for, and `SigningProblem` for a trust configuration that cannot be one.
    """
    index, *further = map(Index.at, settings.repository_urls)
    path = settings.sigstore_trust_config
    trust_config = None if path is None else trust_config_at(path)
    return Targets(index, trust_config, ref=ref_of(os.environ), further=tuple(further))
