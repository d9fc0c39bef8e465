"""The subject of a certificate, as Fulcio derives it from the claims of an identity token.

Based on Fulcio's configuration of identity providers, and its list of extensions
(arc 1.3.6.1.4.1.57264.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat import asn1

from attested_publish.rehearsal.jobs import circleci, github, gitlab, google, person

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GITHUB = "https://github.com"
_GITLAB = "https://gitlab.com"
_CIRCLECI = "https://circleci.com/api/v2"
_CIRCLECI_RUNS = "https://app.circleci.com/"
"""Fulcio's own configuration ends in a slash, and adds another one."""
_IN_URI = "!$%&'()*+,/:;=?@"

_GITHUB_CLAIMS = (
    *("event_name", "job_workflow_ref", "job_workflow_sha", "ref", "repository", "repository_id"),
    *("repository_owner", "repository_owner_id", "run_attempt", "run_id", "runner_environment"),
    *("sha", "sub", "workflow", "workflow_ref", "workflow_sha"),
)
_GITLAB_CLAIMS = (
    *("ci_config_ref_uri", "ci_config_sha", "job_id", "namespace_id", "namespace_path"),
    *("pipeline_id", "pipeline_source", "project_id", "project_path", "ref", "ref_type"),
    *("runner_environment", "sha", "sub"),
)
_CIRCLECI_CLAIMS = (
    "sub",
    *(
        f"{circleci.PREFIX}/{name}"
        for name in ("project-id", "pipeline-definition-id", "pipeline-id", "workflow-id", "job-id")
    ),
)


@dataclass(frozen=True)
class Principal:
    """The subject of a certificate.

    `name` is the subject alternative name, `proof` what a client without a signing request has to
    sign, `extensions` are keyed by their last number.
    """

    name: x509.GeneralName
    proof: str
    extensions: dict[int, bytes]


class ClaimMissing(ValueError):
    """A token lacks a claim; the text names it."""


def principal(claims: Mapping[str, Any]) -> Principal:
    """Return the subject of `claims` (signed by one of `ISSUERS`); raises `ClaimMissing`."""
    return _PRINCIPALS[claims["iss"]](claims)


def _github(claims: Mapping[str, Any]) -> Principal:
    _require(claims, _GITHUB_CLAIMS)
    plain = {
        1: claims["iss"],
        2: claims["event_name"],
        3: claims["sha"],
        4: claims["workflow"],
        5: claims["repository"],
        6: claims["ref"],
    }
    repository = f"{_GITHUB}/{claims['repository']}"
    texts = {
        8: claims["iss"],
        9: f"{_GITHUB}/{claims['job_workflow_ref']}",
        10: claims["job_workflow_sha"],
        11: claims["runner_environment"],
        12: repository,
        13: claims["sha"],
        14: claims["ref"],
        15: claims["repository_id"],
        16: f"{_GITHUB}/{claims['repository_owner']}",
        17: claims["repository_owner_id"],
        18: f"{_GITHUB}/{claims['workflow_ref']}",
        19: claims["workflow_sha"],
        20: claims["event_name"],
        21: f"{repository}/actions/runs/{claims['run_id']}/attempts/{claims['run_attempt']}",
        22: claims.get("repository_visibility"),
        23: claims.get("environment"),
        24: claims["sub"],
    }
    uri = f"{_GITHUB}/{claims['job_workflow_ref']}"
    return Principal(_uri(uri), claims["sub"], _encoded(plain, texts))


def _gitlab(claims: Mapping[str, Any]) -> Principal:
    _require(claims, _GITLAB_CLAIMS)
    config = f"https://{claims['ci_config_ref_uri']}"
    project = f"{_GITLAB}/{claims['project_path']}"
    kind = "heads" if claims["ref_type"] == "branch" else "tags"
    texts = {
        8: claims["iss"],
        9: config,
        10: claims["ci_config_sha"],
        11: claims["runner_environment"],
        12: project,
        13: claims["sha"],
        14: f"refs/{kind}/{claims['ref']}",
        15: claims["project_id"],
        16: f"{_GITLAB}/{claims['namespace_path']}",
        17: claims["namespace_id"],
        18: config,
        19: claims["ci_config_sha"],
        20: claims["pipeline_source"],
        21: f"{project}/-/jobs/{claims['job_id']}",
        22: claims.get("project_visibility"),
        23: claims.get("environment"),
        24: claims["sub"],
    }
    return Principal(_uri(config), claims["sub"], _encoded({1: claims["iss"]}, texts))


def _person(claims: Mapping[str, Any]) -> Principal:
    _require(claims, ("email",))
    # Sigstore's own issuer represents the one that the person signed in to.
    issuer = claims["federated_claims"]["connector_id"]
    name = x509.RFC822Name(claims["email"])
    return Principal(name, claims["email"], _encoded({1: issuer}, {8: issuer}))


def _google(claims: Mapping[str, Any]) -> Principal:
    _require(claims, ("email",))
    if claims.get("email_verified") is not True:
        raise ClaimMissing("The identity token does not say that the email address was verified")
    name = x509.RFC822Name(claims["email"])
    return Principal(name, claims["email"], _encoded({1: claims["iss"]}, {8: claims["iss"]}))


def _circleci(claims: Mapping[str, Any]) -> Principal:
    _require(claims, _CIRCLECI_CLAIMS)
    told = {
        name.removeprefix(f"{circleci.PREFIX}/"): value
        for name, value in claims.items()
        if name.startswith(f"{circleci.PREFIX}/")
    }
    definition = (
        f"{_CIRCLECI}/projects/{told['project-id']}"
        f"/pipeline-definitions/{told['pipeline-definition-id']}"
    )
    texts = {
        8: claims["iss"],
        9: definition,
        12: told.get("vcs-origin"),
        14: told.get("vcs-ref"),
        18: f"{_CIRCLECI}/pipeline/{told['pipeline-id']}/config",
        21: f"{_CIRCLECI_RUNS}/workflow/{told['workflow-id']}/job/{told['job-id']}",
    }
    return Principal(_uri(definition), claims["sub"], _encoded({1: claims["iss"]}, texts))


_PRINCIPALS: dict[str, Callable[[Mapping[str, Any]], Principal]] = {
    github.ISSUER: _github,
    gitlab.ISSUER: _gitlab,
    google.ISSUER: _google,
    circleci.ISSUER: _circleci,
    person.ISSUER: _person,
}
ISSUERS = tuple(_PRINCIPALS)
"""The issuers whose identity tokens are accepted."""


def _require(claims: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(claims.get(name), str) or not claims[name]:
            raise ClaimMissing(f"The identity token has no claim {name!r}, or one that is no text")


def _encoded(plain: Mapping[int, str], texts: Mapping[int, str | None]) -> dict[int, bytes]:
    encoded = {number: text.encode() for number, text in plain.items()}
    return encoded | {number: asn1.encode_der(str(text)) for number, text in texts.items() if text}


def _uri(uri: str) -> x509.UniformResourceIdentifier:
    # Names of files and branches may have any letters, but an IA5String is ASCII.
    return x509.UniformResourceIdentifier(quote(uri, safe=_IN_URI))
