"""Releases of several publishers on one embedded index, and locks that name them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from attested_publish.rehearsal.history.reading import parse_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from attested_publish.rehearsal.world import World

WHEEL_TAG = "py3-none-any"


@dataclass
class Releases:
    """Publishes releases to a world's index; `hashes` has each file's digest by its name."""

    world: World
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
        stem = f"{name.replace('-', '_')}-{version}"
        files = [f"{stem}-{tag}.whl" for tag in tags] + [f"{stem}.tar.gz"] * sdist
        publisher = {
            "repository": repository or f"octo-org/{name}",
            "workflow": workflow,
            "environment": environment,
        }
        release = {
            "project": name,
            "version": version,
            "publisher": publisher if attested else None,
            "files": files,
        }
        stored = self.world.fill(parse_history(json.dumps({"releases": [release]})))
        self.hashes |= {each.filename: each.sha256 for each in stored}
        return files

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
