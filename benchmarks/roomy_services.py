"""`attested-publish services` for large files: `roomy_services.py EXPORT_FOLDER`.

The embedded PyPI takes 100 MiB a file, as PyPI does unless asked. This one stands beside it,
trusts the same job and the same Sigstore, and takes a GiB. Its answers to uploads are late by
`UPLOAD_SECONDS`, so that uploads overlap for certain.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sigstore.models import ClientTrustConfig

from attested_publish.rehearsal.faults import index_endpoint
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.app import Index
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.serving import Server, delayed
from attested_publish.rehearsal.world import World
from attested_publish.rules.bounds import DISTRIBUTION_CAP

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

UPLOAD_SECONDS = 2.0


def main(folder: Path) -> None:
    """Serve until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    registry = Registry.open()
    with (
        World(claims=job_claims({}, {}), registry=registry) as world,
        Index(
            jwks=world.issuer.jwks,
            trusted_root=ClientTrustConfig.from_json(world.trust_config).trusted_root,
            registry=registry,
            file_limit=DISTRIBUTION_CAP,
        ) as index,
    ):
        world.export(folder)
        server = Server(delayed(index.app, _stage, {"upload": UPLOAD_SECONDS}))
        server.start()
        line = {
            "index_url": f"{server.url}/simple/",
            "upload_url": f"{server.url}/legacy/",
            "env": world.environment,
        }
        print(json.dumps(line), flush=True)
        ended.wait()
        server.stop()


def _stage(environ: WSGIEnvironment) -> str | None:
    return "upload" if index_endpoint(environ) == "upload" else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
