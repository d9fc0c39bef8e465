"""The embedded world as a process of its own, and what its index serves, verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import selectors
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from pypi_attestations import Provenance
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from support.environment import without_a_job
from support.sidecars import PUBLISH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLAIMS = {
    "repository": "octo-org/sample-project",
    "ref": "refs/tags/v1.0.0",
    "workflow_ref": "octo-org/sample-project/.github/workflows/release.yml@refs/tags/v1.0.0",
}
CALLED_REF = "octo-org/sample-project/.github/workflows/called.yml@refs/tags/v1.0.0"

_SIMPLE = "application/vnd.pypi.simple.v1+json"
_START_SECONDS = 30
_SECRETS = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}|pypi-[\w-]{16,}")
"""Identity tokens (JWTs) and API tokens, whatever their value."""


@dataclass(frozen=True)
class World:
    """A running `attested-publish services`: its addresses, its job and its trust."""

    index_url: str
    upload_url: str
    environment: dict[str, str]
    claims: dict[str, str]
    export: Path

    @property
    def trust_config(self) -> Path:
        """File with the world's ClientTrustConfig."""
        return self.export / "trust_config.json"

    @property
    def identity(self) -> str:
        """The subject that the job's signing certificates have."""
        return f"https://github.com/{self.claims['job_workflow_ref']}"

    @property
    def request(self) -> dict[str, str]:
        """What lets the job ask for identity tokens."""
        return {
            name: value for name, value in self.environment.items() if name.startswith("ACTIONS_")
        }

    @property
    def request_token(self) -> str:
        """The secret among them."""
        return self.request["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]

    def identity_token(self, audience: str) -> str:
        """Ask for an identity token of the job."""
        headers = {"Authorization": f"bearer {self.request_token}"}
        url = f"{self.request['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={audience}"
        return requests.get(url, headers=headers, timeout=20).json()["value"]

    def served(self, project: str) -> list[dict[str, Any]]:
        """Return what the index lists for a project (PEP 691)."""
        url = f"{self.index_url}{project}/"
        answer = requests.get(url, headers={"Accept": _SIMPLE}, timeout=20)
        return answer.json()["files"] if answer.ok else []

    def verified(self, project: str, kinds: Sequence[str] = (PUBLISH,)) -> dict[str, str]:
        """Download every file with its provenance, verify both, and return names with SHA-256.

        Each file has one attestation of each of the `kinds`. They are verified with the Sigstore
        client itself, none of our code, against the world's exported root.
        """
        root = TrustedRoot.from_file(str(self.export / "trusted_root.json"))
        verifier = Verifier(trusted_root=root)
        found = {}
        for file in self.served(project):
            content = requests.get(file["url"], timeout=20).content
            digest = hashlib.sha256(content).hexdigest()
            assert file["hashes"]["sha256"] == digest
            answer = requests.get(file["provenance"], timeout=20)
            bundles = Provenance.model_validate_json(answer.content).attestation_bundles
            attestations = [each for bundle in bundles for each in bundle.attestations]
            types = []
            for attestation in attestations:
                bundle = attestation.to_bundle()
                _, payload = verifier.verify_dsse(bundle, Identity(identity=self.identity))
                statement = json.loads(payload)
                types.append(statement["predicateType"])
                assert [(each["name"], each["digest"]) for each in statement["subject"]] == [
                    (file["filename"], {"sha256": digest})
                ]
            assert types == list(kinds)
            found[file["filename"]] = digest
        return found


def pem(kind: str, content: dict[str, str]) -> str:
    """Return a key or certificate of a trusted root as cosign reads it from a file."""
    return f"-----BEGIN {kind}-----\n{content['rawBytes']}\n-----END {kind}-----\n"


@contextlib.contextmanager
def running_world(export: Path, *options: str, **claims: str) -> Iterator[World]:
    """Run the embedded services in a process of their own, for the job that `claims` make."""
    job = CLAIMS | claims
    pretended = [f"--claim={name}={value}" for name, value in job.items()]
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "attested_publish", "services", "--export", export),
            *(*pretended, *options),
        ],
        env=without_a_job(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                assert selector.select(_START_SECONDS), "The embedded services do not start."
            told = json.loads(process.stdout.readline())
            yield World(
                told["index_url"], told["upload_url"], told["env"], told["claims"], Path(export)
            )
        finally:
            process.terminate()
            process.wait(20)


def secrets_in(log: str, *known: str) -> list[str]:
    """Return every token in `log`, and each `known` secret that stands there."""
    return _SECRETS.findall(log) + [secret for secret in known if secret in log]
