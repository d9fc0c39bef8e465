"""The services a release is made with: the one seam between a rehearsal and the real thing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attested_publish.foreign import shown
from attested_publish.identity import Ambient, detect
from attested_publish.index import Index
from attested_publish.problems import SigningProblem, Topic
from attested_publish.retry import Deadlines

if TYPE_CHECKING:
    from attested_publish.settings import Settings


@dataclass(frozen=True)
class Services:
    """Where a release goes, who signs for it, and where its identity comes from.

    It goes to `index`, and after that to each index in `further`.
    `trust_config` is the ClientTrustConfig JSON of a Sigstore instance; `None`
    stands for the public one. `deadlines` say how patiently they are asked.
    `is_identity_local` says whether the identity's provider is on loopback; `None`: the
    job's variables do.
    """

    index: Index
    trust_config: str | None = None
    ambient: Ambient = detect
    is_identity_local: bool | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    further: tuple[Index, ...] = ()

    def each(self) -> list[Services]:
        """Return the services with one of the indexes at a time, in order."""
        return [replace(self, index=index, further=()) for index in (self.index, *self.further)]

    @property
    def is_public_log(self) -> bool:
        """Say whether signatures enter Sigstore's public transparency log."""
        return self.trust_config is None


def chosen(settings: Settings) -> Services:
    """Return the services that the settings name.

    Raises `IndexProblem` for an address that cannot be an index, `SigningProblem`
    for a trust configuration that cannot be read.
    """
    index, *further = map(Index.at, settings.repository_urls)
    if settings.sigstore_trust_config is None:
        return Services(index, further=tuple(further))
    try:
        trust_config = settings.sigstore_trust_config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SigningProblem(
            "The Sigstore trust configuration cannot be read",
            topic=Topic.TRUST_CONFIG,
            detail=f"sigstore-trust-config is {shown(settings.sigstore_trust_config)}: {why}.",
            remedy="Name a file with a ClientTrustConfig JSON, or leave the setting out to use "
            "the public Sigstore.",
        ) from error
    return Services(index, trust_config, further=tuple(further))
