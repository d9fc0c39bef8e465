"""What the embedded PyPI serves: simple index, provenance, JSON API, files.

Simple index: PEP 503, 691, 700, 714, 740, 792. Provenance: PyPI's integrity API.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version
from werkzeug.exceptions import NotFound
from werkzeug.utils import redirect, send_file
from werkzeug.wrappers import Response

from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from attested_publish.rehearsal.faults import Faults
    from attested_publish.rehearsal.pypi.store import Project, Store, StoredFile

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
_INTEGRITY_JSON = "application/vnd.pypi.integrity.v1+json"
_META = {"api-version": "1.4"}


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
        """List the projects."""
        names = self._store.projects()
        if _wanted(request) == _SIMPLE_JSON:
            return _json(
                {"meta": _META, "projects": [{"name": name} for name in names]}, _SIMPLE_JSON
            )
        links = "".join(
            f'<a href="/simple/{canonicalize_name(name)}/">{escape(name)}</a><br>\n'
            for name in names
        )
        return _simple_html(request, "Simple index", links)

    def simple_project(self, request: Request, project: str) -> Response:
        """List a project's files, with digests and the address of their provenance."""
        held = self._held(project)
        normalized = canonicalize_name(project)
        if normalized != project:
            return redirect(f"/simple/{normalized}/", 301)
        files = [self._file_entry(request, file) for file in _sorted_files(held)]
        if self._faults.take("simple", "digest"):
            for entry in files:
                entry["hashes"]["sha256"] = _other_digest(entry["hashes"]["sha256"])
        if _wanted(request) == _SIMPLE_JSON:
            page = {
                "meta": _META,
                "name": normalized,
                "versions": _sorted_versions(held),
                "files": files,
                "project-status": {"status": "active"},
                "alternate-locations": [],
            }
            return _json(page, _SIMPLE_JSON)
        links = "".join(_link(entry) for entry in files)
        return _simple_html(request, f"Links for {held.name}", links)

    def provenance(self, request: Request, project: str, version: str, filename: str) -> Response:
        """Serve the provenance of a file."""
        content_type = request.accept_mimetypes.best_match([_INTEGRITY_JSON, "application/json"])
        if content_type is None and request.accept_mimetypes:
            return _json({"message": "The request's media types are not served here"}, status=406)
        file = self._file(project, version, filename)
        provenance = file.provenance
        if provenance is not None and self._faults.take("integrity", "provenance"):
            provenance = self._foreign_provenance(file)
        if provenance is None:
            return _json({"message": f"There is no provenance for {filename}"}, status=404)
        return Response(provenance, content_type=content_type or _INTEGRITY_JSON)

    def project_json(self, request: Request, project: str) -> Response:
        """Describe a project and its newest release."""
        return self._described(request, project, None)

    def release_json(self, request: Request, project: str, version: str) -> Response:
        """Describe one release."""
        return self._described(request, project, version)

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

    def _held(self, name: str) -> Project:
        project = self._store.project(name)
        if project is None:
            raise NotFound
        return project

    def _file(self, project: str, version: str, filename: str) -> StoredFile:
        file = self._held(project).files.get(filename)
        if file is None or file.version != _canonical(version):
            raise NotFound
        return file

    def _foreign_provenance(self, file: StoredFile) -> bytes:
        """Return the provenance of another file, or a forged one if there is no other."""
        others = (
            other.provenance
            for name in self._store.projects()
            for other in self._held(name).files.values()
            if other.provenance is not None and other.filename != file.filename
        )
        assert file.provenance is not None
        return next(others, None) or _with_foreign_digest(file.provenance)

    def _file_entry(self, request: Request, file: StoredFile) -> dict[str, Any]:
        metadata = (
            {"sha256": hashlib.sha256(file.metadata).hexdigest()}
            if file.metadata is not None
            else False
        )
        entry: dict[str, Any] = {
            "filename": file.filename,
            "url": request.host_url.rstrip("/") + file.url_path,
            "hashes": {"sha256": file.sha256},
            "requires-python": file.requires_python or None,
            "size": file.size,
            "upload-time": file.uploaded_at.isoformat().replace("+00:00", "Z"),
            "yanked": False,
            "core-metadata": metadata,
            "data-dist-info-metadata": metadata,
            "provenance": None,
        }
        if file.provenance is not None:
            entry["provenance"] = (
                f"{request.host_url}integrity/{file.project}/{file.version}/{file.filename}"
                "/provenance"
            )
        return entry

    def _described(self, request: Request, name: str, version: str | None) -> Response:
        project = self._held(name)
        versions = _sorted_versions(project)
        newest = versions[-1] if versions else None
        wanted = newest if version is None else _canonical(version)
        release = None if wanted is None else project.releases.get(wanted)
        if wanted is None or release is None:
            # PyPI has no such page either for a project that never had a release.
            raise NotFound

        def urls(of: str) -> list[dict[str, Any]]:
            return [
                {
                    "filename": file.filename,
                    "packagetype": file.kind,
                    "url": request.host_url.rstrip("/") + file.url_path,
                    "size": file.size,
                    "digests": {
                        "blake2b_256": file.blake2b_256,
                        "md5": file.md5,
                        "sha256": file.sha256,
                    },
                    "requires_python": file.requires_python or None,
                    "upload_time_iso_8601": file.uploaded_at.isoformat().replace("+00:00", "Z"),
                    "yanked": False,
                    "yanked_reason": None,
                }
                for file in _sorted_files(project)
                if file.version == of
            ]

        page: dict[str, Any] = {
            "info": {
                "name": project.name,
                "version": wanted,
                "summary": "".join(release.metadata.get("summary", [])[:1]),
                "requires_python": "".join(release.metadata.get("requires_python", [])[:1]),
                "requires_dist": list(release.metadata.get("requires_dist", [])) or None,
                "yanked": False,
                "yanked_reason": None,
            },
            "urls": urls(wanted),
            "vulnerabilities": [],
        }
        if version is None:
            page["releases"] = {of: urls(of) for of in versions}
        return _json(page)


def _canonical(version: str) -> str | None:
    parsed = parsed_version(version)
    return None if parsed is None else str(parsed)


def _sorted_versions(project: Project) -> list[str]:
    return sorted(project.releases, key=Version)


def _sorted_files(project: Project) -> list[StoredFile]:
    return sorted(project.files.values(), key=lambda file: (Version(file.version), file.filename))


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
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{escape(entry['filename'])}</a><br>\n"


def _simple_html(request: Request, title: str, links: str) -> Response:
    response = _html(title, links, head='<meta name="pypi:repository-version" content="1.4">')
    if _wanted(request) == _SIMPLE_HTML:
        response.content_type = _SIMPLE_HTML
    return response


def _html(title: str, body: str, head: str = "") -> Response:
    return Response(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{head}'
        f"<title>{escape(title)}</title></head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n",
        mimetype="text/html",
    )


def _json(document: object, content_type: str = "application/json", status: int = 200) -> Response:
    return Response(json.dumps(document), status, content_type=content_type)
