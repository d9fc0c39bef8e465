"""Uploads as the embedded PyPI receives them: a form, and a file with its digests."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import parse_form_data

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.pypi.answers import ServerFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import FileStorage, MultiDict

_FIELD_LIMIT = 32 * 1024 * 1024
_PARTS = 20_000
_BLOCK = 1 << 18
_FILE_FIELDS = frozenset({"content", "gpg_signature"})


class UploadRefused(Exception):
    """The upload is refused with this HTTP status; the text is one sentence."""

    def __init__(self, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was received, with the digests (lower-case hex) of what was received.

    `content_type` is that of its part, `path` is its temporary location.
    """

    filename: str
    content_type: str
    path: Path
    size: int
    sha256: str
    md5: str
    blake2b_256: str

    def check_digests(self, fields: Mapping[str, list[str]]) -> None:
        """Raise `UploadRefused` if a digest in the form is not that of the file."""
        for field, digest in (
            ("md5_digest", self.md5),
            ("sha256_digest", self.sha256),
            ("blake2_256_digest", self.blake2b_256),
        ):
            given = fields.get(field, [""])[0]
            if given and given.lower() != digest:
                raise UploadRefused(
                    f"The digest supplied does not match the file: {field} is {shown(given, 80)},"
                    f" of what arrived it is {digest}."
                )


class Incoming:
    """One upload's body (``multipart/form-data``), parsed.

    Its files are written to `folder` as they are received, and belong to the caller. `action` is
    what the form asks for. Raises `UploadRefused`.
    """

    def __init__(self, environ: WSGIEnvironment, folder: Path) -> None:
        self._form, self._files = _parsed(environ, folder)
        self.action = self._form.get(":action", "")

    def fields(self) -> Mapping[str, list[str]]:
        """Return all values of each plain field; raises `UploadRefused` if one is a file."""
        for name in self._files:
            if name not in _FILE_FIELDS:
                raise UploadRefused(f"{shown(name, 80)}: has to be a plain field, not a file.")
        # setuptools once wrote UNKNOWN for missing values.
        values = {
            name: [value for value in self._form.getlist(name) if value.strip() != "UNKNOWN"]
            for name in self._form
        }
        return {name: given for name, given in values.items() if given}

    def content(self) -> Content:
        """Read the file that was sent.

        Raises `UploadRefused` if there is none, and `ServerFailed` if it is a plain field.
        """
        part = self._files.get("content")
        if part is None and "content" in self._form:
            raise ServerFailed("the field 'content' is text")
        if part is None:
            raise UploadRefused("The upload does not have a file: no part 'content' with one.")
        path = Path(part.stream.name)
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        blake2b = hashlib.blake2b(digest_size=32)
        size = 0
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                for digest in (sha256, md5, blake2b):
                    digest.update(block)
        return Content(
            filename=part.filename or "",
            # uv sends none, which means application/octet-stream.
            content_type=part.headers.get("Content-Type", "application/octet-stream"),
            path=path,
            size=size,
            sha256=sha256.hexdigest(),
            md5=md5.hexdigest(),
            blake2b_256=blake2b.hexdigest(),
        )


def _parsed(
    environ: WSGIEnvironment, folder: Path
) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    count = 0

    def part(*_: object, **__: object) -> IO[bytes]:
        nonlocal count
        count += 1
        return streams.enter_context((folder / f"part-{count}").open("w+b"))

    with ExitStack() as streams:
        try:
            _, form, files = parse_form_data(
                environ,
                stream_factory=part,
                max_form_memory_size=_FIELD_LIMIT,
                max_form_parts=_PARTS,
                silent=False,
            )
        except (ValueError, RequestEntityTooLarge) as error:
            raise UploadRefused("Invalid Form Data.") from error
    return form, files
