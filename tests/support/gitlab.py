"""What GitLab makes of the component, and the publisher that its job is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from support.paths import ROOT

TEMPLATE = ROOT / "templates" / "publish" / "template.yml"
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
