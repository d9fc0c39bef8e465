"""Rehearse a job of a repository with the trusted publisher that it is to have."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.rehearsal.jobs.github import made_up_number
from attested_publish.rehearsal.rehearse import rehearse
from attested_publish.rehearsal.sample import SAMPLE_PROJECT

if TYPE_CHECKING:
    from attested_publish.journey.run import Run


def rehearse_job(
    run: Run, fields: Mapping[str, str], *, file: str, started: str, kind: str
) -> None:
    """Publish a sample as a job would, to an embedded PyPI that knows one publisher: `fields`.

    `fields` are PyPI's, by the names of its form's parameters; `file` defines the job and `started`
    is the file that is started, both by their paths in the repository. Raises what `rehearse` does:
    a publisher that does not match is refused, as by PyPI.
    """
    environment = fields.get("environment", "")
    entry: dict[str, object] = {"projects": [SAMPLE_PROJECT], "environment": environment}
    if kind == "gitlab":
        path = f"{fields['namespace']}/{fields['project']}"
        config = f"gitlab.com/{path}//{started}@refs/tags/v1.0.0"
        claims = {"project_path": path, "ci_config_ref_uri": config}
        entry |= {
            "kind": "GitLab",
            "namespace": fields["namespace"],
            "repo": fields["project"],
            "workflow_filepath": fields["workflow_filepath"],
        }
    else:
        path = f"{fields['owner']}/{fields['repository']}"
        claims = {
            "repository": path,
            "ref": "refs/tags/v1.0.0",
            "event_name": "push",
            "workflow_ref": f"{path}/{started}@refs/tags/v1.0.0",
            "job_workflow_ref": f"{path}/{file}@refs/tags/v1.0.0",
        }
        entry |= {
            "owner": fields["owner"],
            "owner_id": made_up_number(fields["owner"]),
            "repo": fields["repository"],
            "workflow": fields["workflow_filename"],
        }
        claims["repository_owner_id"] = str(entry["owner_id"])
    if environment:
        claims["environment"] = environment
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        registry = Path(folder) / "registry.json"
        registry.write_text(json.dumps({"publishers": [entry]}), encoding="utf-8")
        given = [f"{name}={value}" for name, value in claims.items()]
        rehearse(run, registry, given, sample=True, job=kind)
