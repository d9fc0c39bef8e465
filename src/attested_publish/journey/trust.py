"""The Sigstore instance of a release, loaded while other things are waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attested_publish.attestations import sidecars
from attested_publish.net.parallel import meanwhile
from attested_publish.settings import Attestations

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.attestations.verify import Trust
    from attested_publish.distributions import Distribution
    from attested_publish.journey.run import Run


def may_attest(run: Run) -> bool:
    """Whether the settings allow attestations."""
    return not run.settings.password and run.settings.attestations is not Attestations.NEVER


def beside(run: Run, distributions: Sequence[Distribution]) -> list[Path]:
    """Return the files next to the distributions that may be attestations, if those are used."""
    return sidecars.beside(distributions) if may_attest(run) else []


def trust_of(run: Run) -> Callable[[], Trust]:
    """Load the Sigstore instance in the background, once for all indexes; return how to get it.

    The function returned raises `SigningProblem`.
    """
    if run.release.trust is None:
        run.release.trust = meanwhile(lambda: _load(run.targets.trust_config))
    return run.release.trust


def stop_if_untrusted(run: Run) -> None:
    """Load a Sigstore instance that was given, before a token is minted; the public one can wait.

    Raises `SigningProblem`.
    """
    if may_attest(run) and run.targets.trust_config is not None:
        trust_of(run)()


def _load(trust_config: str | None) -> Trust:
    # sigstore takes most of a second to import: that is done here, in the background.
    from attested_publish.attestations.verify import load_trust

    return load_trust(trust_config)
