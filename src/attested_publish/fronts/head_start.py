"""Start first what takes longest: the child process that judges the files."""

from __future__ import annotations

import contextlib

from attested_publish.distributions.finding import places_of
from attested_publish.net.parallel import meanwhile
from attested_publish.rules.verdicts import get_ready
from attested_publish.settings import Mode, Settings, VerifyMetadata

_PATIENCE = 0.5


def start_judging(settings: Settings) -> None:
    """Start a child in the background, if there may be files that it will have to judge.

    Its imports take longer than those of this process, which go on at the same time.
    """
    # A rehearsal begins with its services, and may have a sample instead of these files.
    has_no_files = settings.mode in {Mode.REHEARSE, Mode.VERIFY}
    if settings.verify_metadata is VerifyMetadata.NOTHING or has_no_files:
        return

    def start() -> None:
        # Whatever is wrong here is found again, and reported, where the files are copied.
        with contextlib.suppress(Exception):
            if any(place.exists() for place in places_of(settings.packages_dir)):
                get_ready()

    # The child comes first; but a folder that does not answer must not hold up the run, which
    # hears signals.
    with contextlib.suppress(TimeoutError):
        meanwhile(start)(_PATIENCE)
