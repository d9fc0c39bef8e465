"""The two ways to publish that are compared, each as a user would start it.

Both use the same kind of services, in separate processes, and must reach the same result: every
file is served, with its digest and its provenance.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Cost, measured, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAM = (sys.executable, "-m", "attested_publish")

LOG = "requests.jsonl"

_HERE = Path(__file__).parent
_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


class NotPublished(Exception):
    """A way succeeded, but the index does not serve what it should."""


@dataclass(frozen=True)
class Services:
    """A running `attested-publish services`: its addresses, and the simulated job.

    `log` is where it records requests, if it does.
    """

    upload_url: str
    index_url: str
    trust_config: Path
    log: Path
    environment: Mapping[str, str]


@contextlib.contextmanager
def services(latency: Mapping[str, float], *more: str) -> Iterator[Services]:
    """Keep fresh services running, with `latency` in seconds by stage, and `more` options."""
    options = [f"--latency={stage}={seconds}" for stage, seconds in latency.items()]
    with (
        tempfile.TemporaryDirectory(prefix="bench-services-") as folder,
        running(
            [
                *(*PROGRAM, "services", f"--export={folder}", f"--log={Path(folder, LOG)}"),
                *options,
                *more,
            ],
            folder,
        ) as started,
    ):
        yield started


@contextlib.contextmanager
def running(command: Sequence[str], folder: str) -> Iterator[Services]:
    """Run the services that `command` starts, which exports to `folder`, as long as needed."""
    process = subprocess.Popen(command, env=prepared(os.environ), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
        yield Services(
            upload_url=told["upload_url"],
            index_url=told["index_url"],
            trust_config=Path(folder, "trust_config.json"),
            log=Path(folder, LOG),
            # Services on loopback need no proxy.
            environment={**os.environ, **told["env"], "NO_PROXY": "127.0.0.1"},
        )
    finally:
        process.terminate()
        process.communicate()


def publish(files: Sequence[Path], to: Services, *options: str, watches_tree: bool = False) -> Cost:
    """Publish with one command, and default settings but for `options`; see `measured`."""
    cost, _ = measured(
        [
            *PROGRAM,
            "publish",
            f"--repository-url={to.upload_url}",
            f"--sigstore-trust-config={to.trust_config}",
            *options,
            *map(str, files),
        ],
        to.environment,
        watches_tree=watches_tree,
    )
    return cost


def publish_by_hand(files: Sequence[Path], to: Services) -> Cost:
    """Publish with one tool after the other: exchange, check, sign one by one, upload.

    The attestations are written next to the files, where twine looks for them.
    """
    names = [str(file) for file in files]
    exchange, token = measured(
        [sys.executable, str(_HERE / "by_hand_exchange.py"), to.upload_url], to.environment
    )
    check, _ = measured([sys.executable, "-m", "twine", "check", *names], to.environment)
    sign, _ = measured(
        [sys.executable, str(_HERE / "by_hand_sign.py"), str(to.trust_config), *names],
        to.environment,
    )
    signatures = [f"{name}.publish.attestation" for name in names]
    upload, _ = measured(
        [
            *(sys.executable, "-m", "twine", "upload", "--attestations", "--non-interactive"),
            *("--disable-progress-bar", "--repository-url", to.upload_url, *names, *signatures),
        ],
        {**to.environment, "TWINE_USERNAME": "__token__", "TWINE_PASSWORD": token.strip()},
    )
    return exchange + check + sign + upload


def hold_against_index(project: str, files: Sequence[Path], at: Services) -> None:
    """Raise `NotPublished` unless the index serves `files`, and with a provenance each."""
    request = urllib.request.Request(f"{at.index_url}{project}/", headers={"Accept": _SIMPLE_JSON})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        served = {file["filename"]: file for file in json.load(answer)["files"]}
    for file in files:
        entry = served.get(file.name, {})
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if entry.get("hashes", {}).get("sha256") != digest:
            raise NotPublished(f"{file.name} is not served unchanged.")
        if not entry.get("provenance"):
            raise NotPublished(f"{file.name} is served without a provenance.")
