"""What GitLab makes of the component, and what the index serves of a job, verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from pypi_attestations import Provenance
from ruamel.yaml import YAML
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier

from attested_publish.attestations.verify import policy_of

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPLATE = Path(__file__).parent.parent / "templates" / "publish" / "template.yml"
PROJECT = "octo-group/deeper/sample-project"
ROW = {
    "kind": "GitLab",
    "namespace": "octo-group/deeper",
    "repo": "sample-project",
    "workflow_filepath": ".gitlab-ci.yml",
    "environment": "release",
}
"""The publisher that a job of `PROJECT` in the environment `release` is."""


@dataclass(frozen=True)
class Component:
    """The component with inputs put in: `text` as GitLab reads it on, `inputs` as declared."""

    inputs: dict[str, dict[str, Any]]
    text: str

    @property
    def job(self) -> dict[str, Any]:
        """Its one job."""
        (job,) = YAML(typ="safe").load(self.text).values()
        return job

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the job sets for its script."""
        return {
            name: value if isinstance(value, str) else value["value"]
            for name, value in self.job["variables"].items()
        }

    @property
    def script(self) -> str:
        """What the job runs."""
        return "\n".join(self.job["script"])


def header_and_body() -> tuple[str, str]:
    """Return the component's two documents: what may be put in, and where."""
    header, _, body = TEMPLATE.read_text(encoding="utf-8").partition("\n---\n")
    return header, body


def component(**inputs: str) -> Component:
    """Put inputs (underscores for hyphens) into the component, as GitLab does."""
    header, body = header_and_body()
    declared = YAML(typ="safe").load(header)["spec"]["inputs"]
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() <= declared.keys()
    for name, rule in declared.items():
        value = given.get(name, rule.get("default"))
        assert value is not None, f"{name} has no default"
        assert value in rule.get("options", [value])
        body = body.replace(f"$[[ inputs.{name} ]]", value)
    assert "[[" not in body
    return Component(declared, body)


def verified(files: Iterable[dict[str, Any]], trusted_root: Path) -> dict[str, Provenance]:
    """Fetch the provenance of served files, and verify it with PyPI's policy for its publisher.

    With the Sigstore client itself, against an exported root.
    """
    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(trusted_root)))
    found = {}
    for file in files:
        answer = requests.get(file["provenance"], timeout=20)
        provenance = Provenance.model_validate_json(answer.content)
        (bundle,) = provenance.attestation_bundles
        (attestation,) = bundle.attestations
        _, payload = verifier.verify_dsse(attestation.to_bundle(), policy_of(bundle.publisher))
        (subject,) = json.loads(payload)["subject"]
        assert subject == {
            "name": file["filename"],
            "digest": {"sha256": file["hashes"]["sha256"]},
        }
        found[file["filename"]] = provenance
    return found
