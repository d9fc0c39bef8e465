"""Releases of several publishers on one embedded index, and locks that name them."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pypi_attestations import Attestation
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from werkzeug.wrappers import Request, Response

from support.index_client import client_of, sent
from support.makers import make_sdist, make_wheel
from support.sidecars import PUBLISH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from attested_publish.rehearsal.world import World

WHEEL_TAG = "py3-none-any"


def job(repository: str, workflow: str = "release.yml", environment: str = "") -> dict[str, Any]:
    """Give the claims of a job of a repository."""
    owner = repository.partition("/")[0]
    ref = f"{repository}/.github/workflows/{workflow}@refs/tags/v1.0.0"
    claims: dict[str, Any] = {
        "repository": repository,
        "repository_owner": owner,
        "sub": f"repo:{repository}:ref:refs/tags/v1.0.0",
        "workflow_ref": ref,
        "job_workflow_ref": ref,
    }
    return {**claims, "environment": environment} if environment else claims


@dataclass
class Releases:
    """Publishes releases to a world's index; `hashes` has each file's digest by its name."""

    world: World
    folder: Path
    hashes: dict[str, str] = field(default_factory=dict)

    def publish(
        self,
        name: str,
        version: str,
        repository: str | None = None,
        *,
        workflow: str = "release.yml",
        environment: str = "",
        attested: bool = True,
        tags: Iterable[str] = (WHEEL_TAG,),
        sdist: bool = False,
    ) -> list[str]:
        """Publish a release, or more files of one; give the names of the files."""
        client = client_of(self.world)
        claims = job(repository or f"octo-org/{name}", workflow, environment)
        token = client.token(**claims)
        paths = [make_wheel(self.folder, name, version, tag=tag) for tag in tags]
        if sdist:
            paths.append(make_sdist(self.folder, name, version))
        for path in paths:
            attestations = sent(self._attested(path, claims)) if attested else None
            answer = client.upload(path, token, attestations=attestations)
            assert answer.status_code == 200, answer.text
            self.hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return [path.name for path in paths]

    def _attested(self, path: Path, claims: Mapping[str, Any]) -> Attestation:
        config = ClientTrustConfig.from_json(self.world.trust_config)
        config.force_tlog_version = 1
        token = client_of(self.world).identity(aud="sigstore", **claims)
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {
                    "name": path.name,
                    "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
                }
            ],
            "predicateType": PUBLISH,
            "predicate": None,
        }
        with SigningContext.from_trust_config(config).signer(IdentityToken(token)) as signer:
            bundle = signer.sign_dsse(Statement(json.dumps(statement).encode()))
        return Attestation.from_bundle(bundle)

    def files_of(self, name: str, version: str) -> dict[str, str]:
        """Give the digests of a release's files, by name."""
        stem = f"{name.replace('-', '_')}-{version}"
        return {
            filename: sha256
            for filename, sha256 in self.hashes.items()
            if filename.startswith((f"{stem}-", f"{stem}.tar"))
        }


@dataclass
class Proxy:
    """The application of an index with some answers changed, by the end of their path."""

    app: Any
    changes: dict[str, Callable[[Response], Response]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.requests.append(request.path)
        # What is to be changed must be readable.
        environ["HTTP_ACCEPT_ENCODING"] = "identity"
        answer = Response.from_app(self.app, environ, buffered=True)
        for end, change in self.changes.items():
            if request.path.endswith(end):
                answer = change(answer)
        return answer(environ, start_response)

    def edit(self, end: str, edit: Callable[[dict[str, Any]], object]) -> None:
        """Change the JSON of an answer in place."""

        def change(answer: Response) -> Response:
            document = json.loads(answer.get_data())
            edit(document)
            return Response(json.dumps(document), content_type=answer.content_type)

        self.changes[end] = change

    def answer(self, end: str, body: bytes, status: int = 200, *, after: float = 0) -> None:
        """Answer with something else, `after` seconds."""

        def change(answer: Response) -> Response:
            time.sleep(after)
            return Response(body, status=status, content_type=answer.content_type)

        self.changes[end] = change


def pylock(
    entries: Iterable[tuple[str, str, Mapping[str, str]]],
    *,
    index: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Give a `pylock.toml`: name, version and digests of each package.

    `extra` has more TOML for the entry of a package, by its name.
    """
    lines = ['lock-version = "1.0"', 'created-by = "test"', ""]
    for name, version, files in entries:
        lines += ["[[packages]]", f'name = "{name}"', f'version = "{version}"']
        if index is not None:
            lines.append(f'index = "{index}"')
        wheels = [each for each in files if each.endswith(".whl")]
        for filename, sha256 in files.items():
            if filename in wheels:
                continue
            lines.append(
                f'sdist = {{ name = "{filename}", url = "https://files.example/{filename}", '
                f'hashes = {{ sha256 = "{sha256}" }} }}'
            )
        if wheels:
            listed = ", ".join(
                f'{{ name = "{each}", path = "{each}", hashes = {{ sha256 = "{files[each]}" }} }}'
                for each in wheels
            )
            lines.append(f"wheels = [{listed}]")
        lines.append((extra or {}).get(name, ""))
    if len(lines) == 3:
        lines.append("packages = []")
    return "\n".join(lines) + "\n"


def requirements(entries: Iterable[tuple[str, str, Mapping[str, str]]], *options: str) -> str:
    """Give requirements with hashes: name, version and digests of each package."""
    lines = list(options)
    for name, version, files in entries:
        hashes = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in files.values())
        lines.append(f"{name}=={version}{hashes}")
    return "\n".join(lines) + "\n"
