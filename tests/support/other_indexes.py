"""Imitations of indexes other than PyPI: where each has its pages, how it writes and answers.

What is imitated was looked up where each says it itself:

* Artifactory: links in an issue of sonatype/nexus-public (1006), refusals in those of pypa/twine
  (332, 363, 1251).
* Nexus: links in an issue of pdm-project/pdm (3195), refusals in those of pypa/twine (681, 1044)
  and sonatype/nexus-public (696).
* GitLab: gitlabhq/gitlabhq, `lib/api/pypi_packages.rb` and `app/presenters/packages/pypi/`; the
  refusal in an issue of pypa/twine (697). It forwards requests for what it does not have to PyPI.
* Gitea, Forgejo: go-gitea/gitea, `routers/api/packages/pypi/pypi.go` and
  `templates/api/packages/pypi/simple.tmpl`; 409 since its pull request 27480.
* pypiserver 2.4.2 and devpi-server 6.20.3: seen on running ones (tests/e2e/e2e_indexes.py has
  those). devpi's front page, which takes a POST, is that of devpi-web.
* Azure Artifacts: links in a pull request of jpmorganchase/nbcelltests (67), the refusal in one of
  Azure/typespec-azure (4813).
* CodeArtifact: links in an issue of astral-sh/uv (1388); Artifact Registry: the refusal in issues
  of pypa/twine (816, 1007).
* pulp_python: pulp/pulp_python, `pulp_python/app/pypi/views.py` and `serializers.py`: an upload
  is a task, so that the page lists the file a moment later.

What is not said there (a body for wrong credentials, mostly) is what such software usually says.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from string import Template
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.releases import SHORT, run
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from attested_publish.report import Report

USER, PASSWORD = "ci", "Pa55-of-the-job"
READER, READERS_PASSWORD = "reader", "Pa55-of-a-reader"
"""The reader may see the pages, and upload nothing."""

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """One answer; `$filename`, `$project`, `$version` and `$user` in it are replaced."""

    status: str
    body: str = ""
    kind: str = _HTML
    headers: Mapping[str, str] = field(default_factory=dict)

    def to(self, words: Mapping[str, str]) -> Response:
        """Return it as an answer to the request that these words are from."""
        return Response(
            Template(self.body).substitute(words),
            Template(self.status).substitute(words),
            headers=dict(self.headers),
            content_type=self.kind,
        )


def _json(status: str, value: object) -> Reply:
    return Reply(status, json.dumps(value), "application/json")


def _text(status: str, body: str = "") -> Reply:
    return Reply(status, body, "text/plain; charset=utf-8")


def _html(status: str) -> Reply:
    return Reply(status, f"<html><head><title>{status}</title></head><h1>{status}</h1></html>")


@dataclass(frozen=True)
class Software:
    """How one kind of index answers.

    `upload` and `page` are paths, `link` is the address of a file on that page (relative to it,
    or with `$root`), `anchor` its line there. `asks_for_credentials`: its pages are not for
    everybody. `takes_same_bytes`: what it has already is success, sent again. A file is on the
    page `listed_after` that many requests for it.
    """

    name: str
    upload: str
    page: str
    link: str
    took: Reply
    taken: Reply
    wrong_password: Reply
    no_rights: Reply
    anchor: str = '<a href="$link#sha256=$sha256">$filename</a><br/>'
    speaks_json: bool = False
    asks_for_credentials: bool = True
    takes_same_bytes: bool = False
    listed_after: int = 0


_BASE = "/artifactory/api/pypi/team-pypi"
_GITLAB = "/api/v4/projects/7/packages/pypi"
_AZURE = "/org/project/_packaging/feed/pypi"

ARTIFACTORY = Software(
    "Artifactory",
    upload=_BASE,
    page=f"{_BASE}/simple/$project/",
    link="../../packages/$project/$version/$filename",
    anchor='<a href="$link#sha256=$sha256" data-requires-python="&gt;=3.9" rel="internal" >'
    "$filename</a><br/>",
    took=_text("200 OK"),
    taken=_json(
        "403 Forbidden",
        {
            "errors": [
                {
                    "status": 403,
                    "message": "Not enough permissions to delete/overwrite artifact "
                    "'team-pypi:$project/$version/$filename' (user: '$user' needs DELETE "
                    "permission).",
                }
            ]
        },
    ),
    wrong_password=_json(
        "401 Unauthorized", {"errors": [{"status": 401, "message": "Bad credentials"}]}
    ),
    no_rights=_json(
        "403 Forbidden",
        {
            "errors": [
                {
                    "status": 403,
                    "message": "Not enough permissions to deploy artifact "
                    "'team-pypi:$project/$version/$filename' (user: '$user' needs DEPLOY "
                    "permission).",
                }
            ]
        },
    ),
)

ARTIFACTORY_ALL = Software(
    "Artifactory, newer",
    upload=f"{_BASE}/",
    page=ARTIFACTORY.page,
    link="../../$project/$version/$filename",
    anchor=ARTIFACTORY.anchor,
    took=ARTIFACTORY.took,
    taken=_json(
        "403 Forbidden",
        {
            "errors": [
                {
                    "status": 403,
                    "message": "Not enough permissions to delete/overwrite all artifacts under "
                    "'team-pypi:$project/$version' (user: '$user' needs DELETE permission).",
                }
            ]
        },
    ),
    wrong_password=ARTIFACTORY.wrong_password,
    no_rights=ARTIFACTORY.no_rights,
)

NEXUS = Software(
    "Nexus",
    upload="/repository/team-pypi/",
    page="/repository/team-pypi/simple/$project/",
    link="../../packages/$project/$version/$filename",
    anchor='<a href="$link#sha256=$sha256" rel="internal" data-requires-python="&gt;=3.9">'
    "$filename</a><br/>",
    took=_text("200 OK"),
    taken=_html("400 Repository does not allow updating assets: team-pypi"),
    wrong_password=Reply(
        "401 Unauthorized",
        headers={"WWW-Authenticate": 'BASIC realm="Sonatype Nexus Repository Manager"'},
    ),
    no_rights=_html("403 Forbidden"),
    asks_for_credentials=False,
)

NEXUS_OLDER = Software(
    "Nexus, older",
    upload=NEXUS.upload,
    page=NEXUS.page,
    link=NEXUS.link,
    took=_text("200 OK"),
    taken=_text(
        "400 Bad Request", "team-pypi/packages/$project/$version/$filename cannot be updated"
    ),
    wrong_password=NEXUS.wrong_password,
    no_rights=NEXUS.no_rights,
)

GITLAB = Software(
    "GitLab",
    upload=_GITLAB,
    page=f"{_GITLAB}/simple/$project/",
    link=f"$root{_GITLAB}/files/$sha256/$filename",
    anchor='<a href="$link#sha256=$sha256" data-requires-python="&gt;=3.9">$filename</a>',
    took=_json("201 Created", {"message": "201 Created"}),
    taken=_json(
        "400 Bad Request", {"message": "Validation failed: File name has already been taken"}
    ),
    wrong_password=_json("401 Unauthorized", {"message": "401 Unauthorized"}),
    no_rights=_json("404 Not Found", {"message": "404 Project Not Found"}),
)

GITEA = Software(
    "Gitea",
    upload="/api/packages/owner/pypi",
    page="/api/packages/owner/pypi/simple/$project/",
    link="$root/api/packages/owner/pypi/files/$project/$version/$filename",
    anchor='<a href="$link#sha256=$sha256" data-requires-python="&gt;=3.9">$filename</a><br>',
    took=Reply("201 Created"),
    taken=_text("409 Conflict", "package file already exists"),
    wrong_password=Reply("401 Unauthorized", headers={"WWW-Authenticate": "Basic"}),
    no_rights=_text("403 Forbidden", "reqPackageAccess"),
    asks_for_credentials=False,
)

PYPISERVER = Software(
    "pypiserver",
    upload="/",
    page="/simple/$project/",
    link="/packages/$filename",
    took=Reply("200 OK"),
    taken=Reply(
        "409 Conflict",
        "<h1>Error: 409 Conflict</h1><pre>Package &#039;$filename&#039; already exists!\n"
        "  You may start server with `--overwrite` option.</pre>",
    ),
    wrong_password=_html("403 Forbidden"),
    no_rights=_html("403 Forbidden"),
)

DEVPI = Software(
    "devpi",
    upload="/someone/release/",
    page="/someone/release/+simple/$project/",
    link="../../+f/0a1/b2c3d4e5f60718/$filename",
    anchor='someone/release <a href="$link#sha256=$sha256" data-requires-python="&gt;=3.9">'
    "$filename</a><br>",
    took=_html("200 OK"),
    taken=_html("409 $filename already exists in non-volatile index"),
    wrong_password=Reply("401 Unauthorized", headers={"WWW-Authenticate": 'Basic realm="pypi"'}),
    no_rights=_html("403 no permission to submit"),
    speaks_json=True,
    asks_for_credentials=False,
    takes_same_bytes=True,
)

AZURE = Software(
    "Azure Artifacts",
    upload=f"{_AZURE}/upload/",
    page=f"{_AZURE}/simple/$project/",
    link=f"$root{_AZURE}/download/$project/$version/$filename",
    took=Reply("202 Accepted"),
    taken=_json(
        "409 Conflict",
        {
            "message": "The feed 'feed' already contains file '$filename' in package "
            "'$project $version'.",
            "typeKey": "PackageAlreadyExistsException",
        },
    ),
    wrong_password=_text("401 Unauthorized"),
    no_rights=_json(
        "403 Forbidden", {"message": "User '$user' lacks permission to complete this action."}
    ),
)

CODEARTIFACT = Software(
    "CodeArtifact",
    upload="/pypi/team-pypi/",
    page="/pypi/team-pypi/simple/$project/",
    link="$version/$filename",
    took=Reply("200 OK"),
    taken=_json(
        "409 Conflict",
        {"message": "PackageVersion already exists with asset '$filename'"},
    ),
    wrong_password=_json("401 Unauthorized", {"message": "Unauthenticated request"}),
    no_rights=_json(
        "403 Forbidden", {"message": "User is not authorized to publish package versions"}
    ),
)

ARTIFACT_REGISTRY = Software(
    "Artifact Registry",
    upload="/project/team-pypi/",
    page="/project/team-pypi/simple/$project/",
    link="$root/project/team-pypi/$project/$filename",
    took=Reply("200 OK"),
    taken=_text("400 Bad Request", "Requested entity already exists.\n"),
    wrong_password=_html("401 Unauthorized"),
    no_rights=_text("403 Forbidden", "Permission denied on resource.\n"),
)

PULP = Software(
    "pulp_python",
    upload="/pypi/team/legacy/",
    page="/pypi/team/simple/$project/",
    link="$root/pulp/content/team/$filename",
    took=_json(
        "200 OK",
        {"session": "3mo1", "task": "/pulp/api/v3/tasks/019a/", "task_start_time": "2026-11-27"},
    ),
    taken=_json(
        "400 Bad Request", {"content": ["Package $filename already exists in this repository."]}
    ),
    wrong_password=_json("401 Unauthorized", {"detail": "Invalid username/password."}),
    no_rights=_json(
        "403 Forbidden", {"detail": "You do not have permission to perform this action."}
    ),
    speaks_json=True,
    asks_for_credentials=False,
    listed_after=2,
)

EVERY_SOFTWARE = (
    *(ARTIFACTORY, ARTIFACTORY_ALL, NEXUS, NEXUS_OLDER, GITLAB, GITEA, PYPISERVER, DEVPI),
    *(AZURE, CODEARTIFACT, ARTIFACT_REGISTRY, PULP),
)


@dataclass(frozen=True)
class Seen:
    """A request as it arrived, and the credentials with it."""

    method: str
    path: str
    user: str | None
    filename: str | None = None


@dataclass
class OtherIndex:
    """An index that answers as its `software` does.

    `instead` has answers to the next uploads that are given in place of its own, and nothing is
    stored; `lost` is how many of the next answers to uploads never arrive, though the file is
    stored. `hides_pages`: the credentials are for uploads only. `forwards_to`: where those are
    redirected who ask for a project that it does not have. `spoils`: it stores other bytes.
    """

    software: Software
    files: dict[str, bytes] = field(default_factory=dict)
    instead: deque[Reply] = field(default_factory=deque)
    lost: int = 0
    hides_pages: bool = False
    forwards_to: str | None = None
    spoils: bool = False
    seen: list[Seen] = field(default_factory=list)
    _projects: dict[str, tuple[str, str]] = field(default_factory=dict)
    _unlisted: dict[str, int] = field(default_factory=dict)

    def __call__(self, environ, start_response):
        with Request(environ) as request:
            return self._answer(request)(environ, start_response)

    @property
    def sent(self) -> list[str]:
        """The names of all files that were sent, each time."""
        return [each.filename for each in self.seen if each.filename is not None]

    def hold(self, path: Path, project: str = "sample", version: str = "1.0") -> None:
        """Have a file already."""
        self.files[path.name] = path.read_bytes()
        self._projects[path.name] = project, version

    def sha256(self, filename: str) -> str:
        """The digest of what is served under this name."""
        return hashlib.sha256(self.files[filename]).hexdigest()

    def _answer(self, request: Request) -> Response:
        user = request.authorization.username if request.authorization else None
        if request.method == "POST":
            filename = request.files["content"].filename if "content" in request.files else None
            self.seen.append(Seen("POST", request.path, user, filename))
            return self._upload(request)
        self.seen.append(Seen(request.method, request.path, user))
        before = self.software.page.partition("$project")[0]
        project = request.path.removeprefix(before).rstrip("/")
        if request.method != "GET" or not request.path.startswith(before) or "/" in project:
            return _html("404 Not Found").to({})
        return self._page(request, project)

    def _page(self, request: Request, project: str) -> Response:
        words = {"project": project, "version": "", "filename": "", "user": ""}
        if self.hides_pages:
            return self.software.no_rights.to(words)
        if self.software.asks_for_credentials and not _is_known(request):
            answer = self.software.wrong_password.to(words)
            answer.status_code = HTTPStatus.UNAUTHORIZED
            answer.headers.setdefault("WWW-Authenticate", 'Basic realm="packages"')
            return answer
        listed = [name for name, (of, _) in self._projects.items() if of == project]
        for name in [name for name in listed if self._unlisted.get(name, 0)]:
            self._unlisted[name] -= 1
            listed.remove(name)
        if not listed and self.forwards_to is not None:
            return Response("", 302, {"Location": f"{self.forwards_to}{project}/"})
        if not listed:
            return _html("404 Not Found").to({})
        if self.software.speaks_json and _SIMPLE_JSON in request.headers.get("Accept", ""):
            return self._json_page(request, project, listed)
        lines = [
            Template(self.software.anchor).substitute(
                link=self._link(request, name), sha256=self.sha256(name), filename=name
            )
            for name in listed
        ]
        title = f"Links for {project}"
        return Response(
            f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1>\n"
            + "\n".join(lines)
            + "\n</body></html>\n",
            content_type=_HTML,
        )

    def _json_page(self, request: Request, project: str, listed: list[str]) -> Response:
        files = [
            {
                "filename": name,
                "url": self._link(request, name),
                "hashes": {"sha256": self.sha256(name)},
                "requires-python": ">=3.9",
            }
            for name in listed
        ]
        page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
        return Response(json.dumps(page), content_type=_SIMPLE_JSON)

    def _link(self, request: Request, name: str) -> str:
        project, version = self._projects[name]
        return Template(self.software.link).substitute(
            root=request.host_url.rstrip("/"),
            project=project,
            version=version,
            filename=name,
            sha256=self.sha256(name),
        )

    def _upload(self, request: Request) -> Response:
        upload = request.files["content"]
        words = {
            "filename": upload.filename or "",
            "project": request.form["name"],
            "version": request.form["version"],
            "user": request.authorization.username or "" if request.authorization else "",
        }
        if self.instead:
            return self.instead.popleft().to(words)
        if request.path.rstrip("/") != self.software.upload.rstrip("/"):
            return _html("404 Not Found").to({})
        if not _is_known(request):
            return self.software.wrong_password.to(words)
        if words["user"] != USER:
            return self.software.no_rights.to(words)
        return self._store(upload.stream.read(), words)

    def _store(self, content: bytes, words: Mapping[str, str]) -> Response:
        name = words["filename"]
        if name not in self.files:
            self.files[name] = content + b"\n" * self.spoils
            self._projects[name] = words["project"], words["version"]
            self._unlisted[name] = self.software.listed_after
        elif self.files[name] != content or not self.software.takes_same_bytes:
            return self.software.taken.to(words)
        if self.lost:
            self.lost -= 1
            # The server then closes the connection.
            raise ConnectionAbortedError
        return self.software.took.to(words)


def _is_known(request: Request) -> bool:
    given = request.authorization
    known = {USER: PASSWORD, READER: READERS_PASSWORD}
    return given is not None and known.get(given.username or "") == given.password


@dataclass
class Job:
    """A job that publishes a folder to an index with a password; `printed` is what it said."""

    index: OtherIndex
    root: str
    folder: Path
    printed: str = ""

    def publish(self, **settings: str) -> Report:
        """Publish with settings by name (underscores for hyphens); return the report."""
        values = {
            "packages-dir": str(self.folder),
            "repository-url": self.root + self.index.software.upload,
            "user": USER,
            "password": PASSWORD,
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        chosen = understand(values)
        targets = Targets(Index.at(values["repository-url"]), deadlines=SHORT)
        report, self.printed = run(publish.publish, chosen, targets)
        return report


@contextlib.contextmanager
def job_for(index: OtherIndex, folder: Path) -> Iterator[Job]:
    """Serve an index, for a job that publishes a folder to it."""
    with serving(index) as server:
        yield Job(index, server.url, folder)
