"""What the embedded PyPI serves: simple index, provenance, project pages, files.

Simple index: PEP 503, 691, 700, 714, 740, 792. Provenance: PyPI's integrity API.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import NotFound
from werkzeug.utils import redirect, send_file
from werkzeug.wrappers import Response

from attested_publish.rehearsal.pypi.answers import CORS, SERIAL, json_answer
from attested_publish.rehearsal.pypi.store import Status
from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Request

    from attested_publish.rehearsal.faults import Faults
    from attested_publish.rehearsal.pypi.store import Project, Store, StoredFile

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
_INTEGRITY_JSON = "application/vnd.pypi.integrity.v1+json"
_API_VERSION = "1.4"


class Reading:
    """Serves the contents of a store. Addresses are those of the request's own host."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def front(self, request: Request) -> Response:
        """Explain what this is to people who open the address in a browser."""
        host = request.host_url
        return _html(
            "Rehearsal index",
            "<p>This is not PyPI. It is the embedded index of an attested-publish rehearsal: what"
            " is uploaded here is kept until the rehearsal ends, and its signatures are trusted"
            " nowhere else.</p>"
            f"<p>Uploads: <code>{escape(host)}legacy/</code>. Projects:"
            ' <a href="/simple/">simple index</a>.</p>',
        )

    def simple_projects(self, request: Request) -> Response:
        """List the projects, those in quarantine left out."""
        serial = self._store.serial
        projects = [each for each in self._store.projects() if not each.status.is_hidden]
        if _wanted(request) == _SIMPLE_JSON:
            listed = [{"name": each.name, "_last-serial": each.last_serial} for each in projects]
            answer = json_answer({"meta": _meta(serial), "projects": listed}, _SIMPLE_JSON)
        else:
            links = "".join(
                f'<a href="/simple/{each.normalized_name}/">{escape(each.name)}</a><br>\n'
                for each in projects
            )
            answer = _simple_html(request, "Simple index", links, serial)
        return _with_headers(answer, serial)

    def simple_project(self, request: Request, project: str) -> Response:
        """List a project's files, with digests and the address of their provenance."""
        found = held(self._store, project)
        if found.normalized_name != project:
            answer = redirect(f"/simple/{found.normalized_name}/", 301)
            answer.headers.extend(CORS)
            return answer
        status = self._status(found)
        files = [] if status.is_hidden else found.sorted_files
        entries = [self._file_entry(request, file) for file in files]
        if self._faults.take("simple", "digest"):
            for entry in entries:
                entry["hashes"]["sha256"] = _other_digest(entry["hashes"]["sha256"])
        if _wanted(request) == _SIMPLE_JSON:
            content = {
                "meta": _meta(found.last_serial),
                "name": found.normalized_name,
                "versions": [] if status.is_hidden else found.versions,
                "files": entries,
                "project-status": _without_nothing(status=status.name, reason=status.reason),
            }
            answer = json_answer(content, _SIMPLE_JSON)
        else:
            links = "".join(_link(entry) for entry in entries)
            title = f"Links for {found.name}"
            answer = _simple_html(request, title, links, found.last_serial, status)
        return _with_headers(answer, found.last_serial)

    def _status(self, project: Project) -> Status:
        if self._faults.take("simple", "archived"):
            return Status("archived")
        if self._faults.take("simple", "quarantined"):
            return Status("quarantined")
        return project.status

    def provenance(self, request: Request, project: str, version: str, filename: str) -> Response:
        """Serve the provenance of a file."""
        file = self._file(project, version, filename)
        answer = self._provenance(request, file)
        answer.vary.add("Accept")
        if answer.status_code == HTTPStatus.OK:
            answer.headers.extend(CORS)
        return answer

    def _provenance(self, request: Request, file: StoredFile) -> Response:
        content_type = request.accept_mimetypes.best_match([_INTEGRITY_JSON, "application/json"])
        if content_type is None and request.accept_mimetypes:
            return json_answer({"message": "Request not acceptable"}, status=406)
        if self._faults.take("integrity", "disabled"):
            return json_answer({"message": "Attestations temporarily disabled"}, status=403)
        provenance = file.provenance
        if provenance is not None and self._faults.take("integrity", "provenance"):
            provenance = self._foreign_provenance(file)
        if provenance is None:
            text = f"No provenance available for {file.filename}"
            return json_answer({"message": text}, status=404)
        return Response(provenance, content_type=content_type or _INTEGRITY_JSON)

    def project_page(self, request: Request, project: str) -> Response:
        """Show a project to people."""
        found = held(self._store, project)
        return _project_html(request, found, found.versions)

    def release_page(self, request: Request, project: str, version: str) -> Response:
        """Show one release to people."""
        found = held(self._store, project)
        return _project_html(request, found, [release_of(found, version)])

    def file(self, request: Request, digest: str, filename: str) -> Response:
        """Serve a file, or a wheel's METADATA if its name ends in ``.metadata``."""
        stored = self._store.file(filename)
        if stored is not None and _is_at(stored, digest):
            return send_file(
                stored.path,
                request.environ,
                mimetype="application/octet-stream",
                etag=stored.sha256,
                last_modified=stored.uploaded_at,
            )
        stored = self._store.file(filename.removesuffix(".metadata"))
        if stored is None or not _is_at(stored, digest) or stored.metadata is None:
            raise NotFound
        return Response(stored.metadata, mimetype="application/octet-stream")

    def _file(self, project: str, version: str, filename: str) -> StoredFile:
        found = held(self._store, project)
        file = found.files.get(filename)
        if file is None or file.version != release_of(found, version):
            raise NotFound
        return file

    def _foreign_provenance(self, file: StoredFile) -> bytes:
        """Return the provenance of another file, or a forged one if there is no other."""
        others = (
            other.provenance
            for project in self._store.projects()
            for other in project.files.values()
            if other.provenance is not None and other.filename != file.filename
        )
        assert file.provenance is not None
        return next(others, None) or _with_foreign_digest(file.provenance)

    def _file_entry(self, request: Request, file: StoredFile) -> dict[str, Any]:
        metadata = file.core_metadata
        entry: dict[str, Any] = {
            "filename": file.filename,
            "url": request.host_url.rstrip("/") + file.url_path,
            "hashes": {"sha256": file.sha256},
            "requires-python": file.requires_python or None,
            "size": file.size,
            "upload-time": file.uploaded_at.isoformat().replace("+00:00", "Z"),
            "yanked": file.is_yanked_as,
            "core-metadata": metadata,
            "data-dist-info-metadata": metadata,
            "provenance": None,
        }
        if file.provenance is not None or file.names_provenance:
            entry["provenance"] = (
                f"{request.host_url}integrity/{file.project}/{file.version}/{file.filename}"
                "/provenance"
            )
        return entry


def held(store: Store, name: str) -> Project:
    """Return the project `name` of a store; raises `NotFound` if there is none."""
    project = store.project(name)
    if project is None:
        raise NotFound
    return project


def release_of(project: Project, version: str) -> str:
    """Return the release that an address names by any spelling; raises `NotFound`."""
    parsed = parsed_version(version)
    spelling = None if parsed is None else project.spelling(parsed)
    if spelling is None:
        raise NotFound
    return spelling


def _meta(serial: int) -> dict[str, Any]:
    return {"api-version": _API_VERSION, "_last-serial": serial}


def _with_headers(answer: Response, serial: int) -> Response:
    answer.headers.extend({**CORS, SERIAL: str(serial)})
    answer.vary.add("Accept")
    return answer


def _without_nothing(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _is_at(file: StoredFile, digest: str) -> bool:
    return digest.replace("/", "") == file.blake2b_256


def _other_digest(digest: str) -> str:
    return hashlib.sha256(digest.encode()).hexdigest()


def _with_foreign_digest(provenance: bytes) -> bytes:
    document = json.loads(provenance)
    for bundle in document["attestation_bundles"]:
        for attestation in bundle["attestations"]:
            envelope = attestation["envelope"]
            statement = json.loads(base64.b64decode(envelope["statement"]))
            for subject in statement["subject"]:
                subject["digest"] = {"sha256": _other_digest(subject["digest"]["sha256"])}
            envelope["statement"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps(document).encode()


def _wanted(request: Request) -> str:
    # As on PyPI, clients that accept none of these types get HTML.
    offers = ["text/html", _SIMPLE_HTML, _SIMPLE_JSON]
    return request.accept_mimetypes.best_match(offers, "text/html") or "text/html"


def _link(entry: dict[str, Any]) -> str:
    attributes = {"href": f"{entry['url']}#sha256={entry['hashes']['sha256']}"}
    if entry["requires-python"]:
        attributes["data-requires-python"] = entry["requires-python"]
    if entry["core-metadata"]:
        attributes["data-core-metadata"] = f"sha256={entry['core-metadata']['sha256']}"
        attributes["data-dist-info-metadata"] = attributes["data-core-metadata"]
    if entry["provenance"]:
        attributes["data-provenance"] = entry["provenance"]
    if entry["yanked"]:
        attributes["data-yanked"] = "" if entry["yanked"] is True else entry["yanked"]
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{escape(entry['filename'])}</a><br>\n"


def _simple_html(
    request: Request, title: str, links: str, serial: int, status: Status | None = None
) -> Response:
    meta = {"pypi:repository-version": _API_VERSION}
    if status is not None:
        meta["pypi:project-status"] = status.name
        if status.reason is not None:
            meta["pypi:project-status-reason"] = status.reason
    head = "".join(
        f'<meta name="{name}" content="{escape(content)}">' for name, content in meta.items()
    )
    answer = _html(title, links, head=head, end=f"<!--SERIAL {serial}-->\n")
    if _wanted(request) == _SIMPLE_HTML:
        answer.content_type = _SIMPLE_HTML
    return answer


def _project_html(request: Request, project: Project, versions: Iterable[str]) -> Response:
    listed = ", ".join(versions) or "none"
    index = f"{request.host_url}simple/{project.normalized_name}/"
    return _html(
        project.name,
        f"<p>Releases: {escape(listed)}. Status: {project.status.name}.</p>\n"
        f'<p>Files: <a href="{escape(index)}">{escape(index)}</a></p>',
    )


def _html(title: str, body: str, head: str = "", end: str = "") -> Response:
    return Response(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{head}'
        f"<title>{escape(title)}</title></head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n{end}",
        mimetype="text/html",
    )
