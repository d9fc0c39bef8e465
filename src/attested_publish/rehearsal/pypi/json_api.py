"""The JSON API of the embedded PyPI (warehouse, `legacy/api/json.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.version import Version
from werkzeug.exceptions import NotFound

from attested_publish.rehearsal.pypi.answers import CORS, SERIAL, json_answer
from attested_publish.rehearsal.pypi.reading import held, release_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from attested_publish.rehearsal.pypi.store import Project, Release, Store, StoredFile

_TEXTS = (
    *("author", "author_email", "description_content_type", "download_url", "home_page"),
    *("keywords", "license", "license_expression", "maintainer", "maintainer_email", "platform"),
    *("requires_python", "summary"),
)
_LISTS = ("dynamic", "provides_extra", "requires_dist")


class JsonApi:
    """Describes the projects of a store, with addresses of the request's own host."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def project(self, request: Request, project: str) -> Response:
        """Describe a project and its newest release.

        That is a final one that is not yanked, if there is any.
        """
        found = held(self._store, project)
        newest = max(
            found.versions,
            key=lambda version: (
                not _is_yanked(found, version),
                not Version(version).is_prerelease,
                Version(version),
            ),
            default=None,
        )
        if newest is None:
            # PyPI has no such page for a project without a release.
            raise NotFound
        releases = {version: _urls(request, found, version) for version in found.versions}
        return _answer(found, {**_description(request, found, newest), "releases": releases})

    def release(self, request: Request, project: str, version: str) -> Response:
        """Describe one release."""
        found = held(self._store, project)
        return _answer(found, _description(request, found, release_of(found, version)))


def _answer(project: Project, document: dict[str, Any]) -> Response:
    return json_answer(document, headers={**CORS, SERIAL: str(project.last_serial)})


def _description(request: Request, project: Project, version: str) -> dict[str, Any]:
    return {
        "info": _info(request, project, project.releases[version]),
        "last_serial": project.last_serial,
        "urls": _urls(request, project, version),
        "vulnerabilities": [],
    }


def _info(request: Request, project: Project, release: Release) -> dict[str, Any]:
    """Describe a release by the form of its first file, under the keys of core metadata 1.0."""
    form = release.metadata
    texts = {name: next(iter(form.get(name, ())), None) for name in _TEXTS}
    lists = {name: list(form.get(name, ())) or None for name in _LISTS}
    labeled = (each.partition(",") for each in form.get("project_urls", ()))
    address = f"{request.host_url}project/{project.normalized_name}/"
    return {
        **texts,
        **lists,
        "name": project.name,
        "version": release.version,
        "description": "".join(form.get("description", [])[:1]),
        "classifiers": list(form.get("classifiers", ())),
        "license_files": list(form.get("license_file", ())) or None,
        "project_urls": {label.strip(): url.strip() for label, _, url in labeled} or None,
        "package_url": address,
        "project_url": address,
        "release_url": f"{address}{release.version}/",
        "downloads": {"last_day": -1, "last_week": -1, "last_month": -1},
        "bugtrack_url": None,
        "docs_url": None,
        "yanked": _is_yanked(project, release.version),
        "yanked_reason": next(
            (each.yanked for each in _files(project, release.version) if each.yanked), None
        ),
    }


def _is_yanked(project: Project, version: str) -> bool:
    """Whether all of a release's files are withdrawn; PyPI withdraws whole releases."""
    files = _files(project, version)
    return bool(files) and all(each.yanked is not None for each in files)


def _files(project: Project, version: str) -> list[StoredFile]:
    return [each for each in project.sorted_files if each.version == version]


def _urls(request: Request, project: Project, version: str) -> list[dict[str, Any]]:
    return [_url(request, each) for each in _files(project, version)]


def _url(request: Request, file: StoredFile) -> dict[str, Any]:
    return {
        "comment_text": file.comment,
        "core-metadata": file.core_metadata,
        "digests": {"blake2b_256": file.blake2b_256, "md5": file.md5, "sha256": file.sha256},
        "downloads": -1,
        "filename": file.filename,
        "has_sig": False,
        "md5_digest": file.md5,
        "packagetype": file.kind,
        "python_version": file.python_version,
        "requires_python": file.requires_python or None,
        "size": file.size,
        "upload_time": file.uploaded_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "upload_time_iso_8601": file.uploaded_at.isoformat().replace("+00:00", "Z"),
        "url": request.host_url.rstrip("/") + file.url_path,
        "yanked": file.yanked is not None,
        "yanked_reason": file.yanked or None,
    }
