"""Uploads to the embedded PyPI: checked in the order of PyPI's server, then stored.

The row numbers in the comments count that order (warehouse, `forklift/legacy.py`). What is wrong
with a file by itself is decided by `rules.checks`, in the same words as the preflight's; what is
refused because of what is stored, by `rules.on_index`.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import TypeAdapter, ValidationError
from pypi_attestations import Attestation, AttestationBundle, Provenance
from werkzeug.datastructures import Authorization
from werkzeug.exceptions import NotFound

from attested_publish.attestations.verify import (
    AttestationRefused,
    policy_of,
    verify_attestation,
)
from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.pypi.answers import ServerFailed
from attested_publish.rehearsal.pypi.incoming import Content, Incoming, UploadRefused
from attested_publish.rehearsal.pypi.store import SentFile, StoredFile, StoreRefused
from attested_publish.rules.bounds import is_beyond
from attested_publish.rules.on_index import project_size_beyond
from attested_publish.sandbox.pool import BeyondBounds, Unreadable, shared_sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from sigstore.verify import Verifier

    from attested_publish.rehearsal.faults import Faults
    from attested_publish.rehearsal.pypi.commits import Commits
    from attested_publish.rehearsal.pypi.store import Store
    from attested_publish.rehearsal.pypi.tokens import ApiToken, Tokens

_QUESTIONS = "attested_publish.rules.questions"
_ATTESTATIONS_A_FILE = 2
_ATTESTATIONS = TypeAdapter(list[Attestation])
_FAILS_FOR = frozenset({"record-blank-line", "sdist-absolute-path"})
"""The rules about files for which PyPI's server fails, instead of refusing them."""

_GONE = {
    **dict.fromkeys(
        ("submit", "submit_pkg_info"),
        "Project pre-registration is no longer required or supported, upload your files instead.",
    ),
    "doc_upload": "Documentation cannot be uploaded any more; use https://readthedocs.org/.",
}
"""What forms could once ask for."""


class Uploads:
    """Accepts uploads into a store. Thread-safe; bodies are read and verified concurrently.

    `folder` is where contents are stored, `verifier` trusts the Sigstore instance whose
    attestations are accepted, `is_open` lets minted tokens create projects, the limits are in
    bytes. `commits` decides when a checked file is stored, and whether it is.
    """

    def __init__(
        self,
        *,
        store: Store,
        commits: Commits,
        tokens: Tokens,
        faults: Faults,
        verifier: Verifier,
        folder: Path,
        is_open: bool,
        file_limit: int,
        project_limit: int,
    ) -> None:
        self._store = store
        self._commits = commits
        self._tokens = tokens
        self._faults = faults
        self._verifier = verifier
        self._folder = folder
        self._is_open = is_open
        self._file_limit = file_limit
        self._project_limit = project_limit

    def receive(self, environ: WSGIEnvironment) -> None:
        """Accept one upload, or find that the same file already exists.

        Raises `UploadRefused`, `ServerFailed`, or `NotFound` for a form that is no upload; in
        these cases nothing has changed.
        """
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="incoming-") as folder:
            incoming = Incoming(environ, Path(folder))  # row 1
            _check_action(incoming.action)
            fields = incoming.fields()  # row 2
            token = self._authenticated(environ)  # rows 3 and 4
            if fields.get("protocol_version") != ["1"]:  # row 5
                raise UploadRefused("Unknown protocol version.")
            _refuse("refuse_form", fields)  # rows 6 and 7
            content = incoming.content()  # row 8
            name = fields["name"][0]
            self._permit(token, name)  # rows 9 and 10
            self._take(fields, content, token, name)

    def _take(
        self, fields: Mapping[str, list[str]], content: Content, token: ApiToken, name: str
    ) -> None:
        """Check and store the file, unless it already exists."""
        project = canonicalize_name(name)
        version = self._release_of(name, Version(fields["version"][0]))
        kind = fields["filetype"][0]
        _refuse("refuse_description", fields)  # row 12
        _refuse("refuse_filename", fields, content)  # row 14
        self._check_part(content, name)  # rows 15 and 16
        content.check_digests(fields)  # row 17
        is_begun = self._store.has_release(project, version)  # row 13
        sent = SentFile(
            filename=content.filename,
            project=project,
            version=version,
            kind=kind,
            sha256=content.sha256,
            blake2b_256=content.blake2b_256,
        )
        if not self._is_new(sent):  # rows 18 to 21
            return
        _refuse_file(fields, content)  # rows 22 to 24
        attestations = self._attestations(fields, content, token)  # rows 25 to 33
        file = StoredFile(
            filename=content.filename,
            project=project,
            version=version,
            kind=kind,
            size=content.size,
            sha256=content.sha256,
            md5=content.md5,
            blake2b_256=content.blake2b_256,
            python_version=fields.get("pyversion", [""])[0],
            comment=fields.get("comment", [""])[0],
            requires_python=fields.get("requires_python", [""])[0],
            path=self._folder / secrets.token_hex(16),
            metadata=_wheel_metadata(content) if kind == "bdist_wheel" else None,
            provenance=_provenance(token, attestations),
            uploaded_at=datetime.now(UTC),
        )
        with self._commits.turn(project, version) as turn:
            # Both would insert the row of the release.
            if turn.seconds > 0 and not is_begun and self._store.has_release(project, version):
                raise ServerFailed("duplicate key: releases_project_id_version_key")
            # Checked again, because the same file may have been uploaded in the meantime.
            if not self._is_new(file):
                return
            turn.store()
            self._keep(file, content, name, fields)

    def _release_of(self, name: str, version: Version) -> str:
        """Return the version of the release that a file is for: 1.0.0 is added to 1.0."""
        project = self._store.project(name)
        return (project.spelling(version) if project else None) or str(version)

    def _is_new(self, file: SentFile) -> bool:
        try:
            return self._store.is_new(file)
        except StoreRefused as error:
            raise UploadRefused(str(error)) from error

    def _keep(
        self, file: StoredFile, content: Content, name: str, fields: Mapping[str, list[str]]
    ) -> None:
        content.path.replace(file.path)
        is_kept = False
        try:
            is_kept = self._store.add(file, name=name, metadata=fields)
        except StoreRefused as error:
            raise UploadRefused(str(error)) from error
        finally:
            if not is_kept:
                file.path.unlink()

    def _authenticated(self, environ: WSGIEnvironment) -> ApiToken:
        authorization = Authorization.from_header(environ.get("HTTP_AUTHORIZATION"))
        secret: str | None = None
        if authorization is not None and authorization.type == "basic":
            if authorization.username != "__token__":
                raise UploadRefused(
                    "User names and passwords are not accepted; use an API token with the user"
                    " name '__token__', or Trusted Publishing.",
                    status=403,
                )
            secret = authorization.password
        elif authorization is not None and authorization.type in {"bearer", "token"}:
            secret = authorization.token
        token = None if secret is None else self._tokens.find(secret)
        if token is None:
            raise UploadRefused(
                "Invalid or non-existent authentication information: the API token is missing,"
                " unknown or revoked.",
                status=403,
            )
        return token

    def _permit(self, token: ApiToken, name: str) -> None:
        project = self._store.project(name)
        if project is None:
            if token.publisher is not None and not self._is_open:
                raise UploadRefused(
                    f"An identity that is no user cannot create new projects, such as {name!r}:"
                    " check the spelling, or register a pending publisher for it."
                )
            try:
                self._store.refuse_name(name)
            except StoreRefused as error:
                raise UploadRefused(str(error)) from error
        if token.is_expired:
            raise UploadRefused("Invalid API Token: token is expired", status=403)
        if not token.covers(canonicalize_name(name)):
            scope = "project-scoped" if token.publisher is None else "OIDC scoped"
            raise UploadRefused(
                f"Invalid API Token: {scope} token is not valid for project {name!r}", status=403
            )
        if project is not None and not project.status.takes_uploads:
            raise UploadRefused(
                f"The given token isn't allowed to upload to project {project.name!r}. See"
                " https://pypi.org/help/#project-name for more information.",
                status=403,
            )

    def _check_part(self, content: Content, name: str) -> None:
        if not content.content_type or content.content_type.startswith("image/"):
            raise UploadRefused(
                "Invalid distribution file: it was sent with the content type"
                f" {shown(content.content_type, 80)!r}."
            )
        if is_beyond(content.size, self._file_limit):
            raise UploadRefused(
                f"File too large: {content.size} bytes; the limit for project {name!r} is"
                f" {_readable(self._file_limit)}."
            )
        project = self._store.project(name)
        total = project_size_beyond(
            [content.size],
            [file.size for file in project.files.values()] if project else [],
            self._project_limit,
        )
        if total is not None:
            raise UploadRefused(
                f"Project size too large: {name!r} would have {total} bytes; the limit is"
                f" {_readable(self._project_limit)}."
            )

    def _attestations(
        self, fields: Mapping[str, list[str]], content: Content, token: ApiToken
    ) -> list[Attestation]:
        texts = fields.get("attestations", [])
        if not texts or not texts[0] or self._faults.take("upload", "unattested"):
            return []
        try:
            return self._verified(texts[0], content, token)
        except AttestationRefused as error:
            raise UploadRefused(
                f"Invalid attestations supplied during upload: {shown(error, 2000)}"
            ) from error

    def _verified(self, text: str, content: Content, token: ApiToken) -> list[Attestation]:
        if token.publisher is None:
            raise AttestationRefused(
                "attestations are only supported when using Trusted Publishing"
            )
        identity = token.publisher.attestation_identity
        if identity is None:
            raise AttestationRefused(
                f"attestations are not supported with {token.publisher.provider} publishers yet"
            )
        try:
            attestations = _ATTESTATIONS.validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'the field'}: {one['msg']}"
                for one in error.errors(include_input=False, include_url=False)
            )
            raise AttestationRefused(f"Malformed attestations: {reasons}") from error
        if not attestations:
            raise AttestationRefused("Malformed attestations: the list is empty")
        if len(attestations) > _ATTESTATIONS_A_FILE:
            raise AttestationRefused(
                f"a file can have {_ATTESTATIONS_A_FILE} attestations, not {len(attestations)}"
            )
        policy = policy_of(identity)
        seen: set[str] = set()
        for attestation in attestations:
            kind = verify_attestation(
                attestation,
                filename=content.filename,
                sha256=content.sha256,
                policy=policy,
                verifier=self._verifier,
            )
            if kind in seen:
                raise AttestationRefused(
                    f"two attestations of the predicate type {kind!r} for one file"
                )
            seen.add(kind)
        return attestations


def _provenance(token: ApiToken, attestations: list[Attestation]) -> bytes | None:
    identity = None if token.publisher is None else token.publisher.attestation_identity
    if identity is None or not attestations:
        return None
    bundle = AttestationBundle(publisher=identity, attestations=attestations)
    return Provenance(attestation_bundles=[bundle]).model_dump_json().encode()


def _wheel_metadata(content: Content) -> bytes | None:
    encoded = _asked("wheel_metadata", {}, content)["content"]
    return None if encoded is None else base64.b64decode(encoded)


def _check_action(action: str) -> None:
    """Let only forms pass that upload a file; PyPI has no address for others."""
    if action in _GONE:
        raise UploadRefused(_GONE[action], status=410)
    if action != "file_upload":
        raise NotFound


def _refuse_file(form: Mapping[str, list[str]], content: Content) -> None:
    finding = _asked("refuse_file", {"form": dict(form)}, content)["finding"]
    if finding is None:
        return
    if finding["rule"] in _FAILS_FOR:
        raise ServerFailed(finding["message"])
    raise UploadRefused(finding["message"])


def _refuse(name: str, form: Mapping[str, list[str]], content: Content | None = None) -> None:
    """Ask in a child process for the first refusal of one kind: what was sent may be anything."""
    finding = _asked(name, {"form": dict(form)}, content)["finding"]
    if finding is not None:
        raise UploadRefused(finding["message"])


def warm_up() -> None:
    """Wait until a child process can judge uploads: the first takes no longer than the others then.

    It would be started with the first upload otherwise, as a real server's never is.
    """
    # An upload explains what is wrong with the child.
    with contextlib.suppress(BeyondBounds, Unreadable):
        shared_sandbox().load(_QUESTIONS)


def _asked(name: str, about: Mapping[str, Any], content: Content | None) -> Mapping[str, Any]:
    sandbox = shared_sandbox()
    function = f"{_QUESTIONS}:{name}"
    try:
        if content is None:
            return sandbox.ask(function, about)
        path, filename, size = content.path, content.filename, content.size
        return sandbox.ask_about(function, path, filename, size, about)
    except (BeyondBounds, Unreadable) as why:
        raise UploadRefused(f"Invalid distribution file: {why}.") from why


def _readable(size: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - a kibibyte
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GiB"
