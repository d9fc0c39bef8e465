"""What PyPI refuses in the form around the metadata; twine always sends it right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attested_publish.rules.wording import refused, shown

if TYPE_CHECKING:
    from attested_publish.findings import Finding
    from attested_publish.rules.form import Form

_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE | re.ASCII)
_DIGEST = re.compile(r"[a-f0-9]{64}", re.IGNORECASE | re.ASCII)
_FIELD_REMEDY = "Send the form as twine does."


def form_findings(form: Form) -> Iterator[Finding]:
    """Yield what PyPI refuses in `form` before it reads the metadata, in the server's order."""
    yield from _name(form)
    yield from _whole(form)
    yield from _digests(form)
    yield from _filetype(form)


def _value(form: Form, field: str) -> str:
    values = form.get(field, ())
    return values[0] if values else ""


def _name(form: Form) -> Iterator[Finding]:
    name = _value(form, "name")
    if not _NAME.fullmatch(name):
        yield refused(
            "form-name",
            f"The name {shown(name)} is not one that a project can have.",
            "Use ASCII letters, digits, '.', '_' and '-', with a letter or digit at both ends.",
        )


def _whole(form: Form) -> Iterator[Finding]:
    filetype, python = _value(form, "filetype"), _value(form, "pyversion")
    if filetype and filetype != "sdist" and not python:
        yield refused(
            "form-pyversion", "The form of a wheel lacks the Python version.", _FIELD_REMEDY
        )
    elif filetype == "sdist" and python not in {"", "source"}:
        yield refused(
            "form-pyversion",
            f"The form of an sdist has the Python version {shown(python)}, not 'source'.",
            _FIELD_REMEDY,
        )
    elif not any(_value(form, f"{digest}_digest") for digest in ("md5", "sha256", "blake2_256")):
        yield refused("form-digest-missing", "The form has no digest of the file.", _FIELD_REMEDY)


def _digests(form: Form) -> Iterator[Finding]:
    for field in ("blake2_256_digest", "sha256_digest"):
        digest = _value(form, field)
        if digest and not _DIGEST.fullmatch(digest):
            yield refused(
                "form-digest",
                f"{field} is {shown(digest)}, not 64 hexadecimal digits.",
                _FIELD_REMEDY,
            )


def _filetype(form: Form) -> Iterator[Finding]:
    filetype = _value(form, "filetype")
    if filetype not in {"sdist", "bdist_wheel"}:
        yield refused(
            "form-filetype",
            f"The file type {shown(filetype)} is neither 'sdist' nor 'bdist_wheel'.",
            _FIELD_REMEDY,
        )
