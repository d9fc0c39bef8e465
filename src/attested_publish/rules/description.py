"""Whether PyPI can render a project's description, which it does with readme_renderer.

Together with what `rules.form` reports about metadata that twine cannot send, this covers all of
`twine check`, and is as strict.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import re
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final

import readme_renderer

from attested_publish.rules.bounds import DESCRIPTION
from attested_publish.rules.wording import discouraged, doubtful, refused, sentence, shown, untried

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from attested_publish.findings import Finding

_RENDERERS = {"text/plain": "txt", "text/markdown": "markdown", "text/x-rst": "rst"}
"""The modules of readme_renderer; that for Markdown fails where comrak is not installed."""

_VARIANTS = frozenset({"GFM", "CommonMark"})
_REPORT: Final = re.compile(r"<string>:(?P<line>\d+): \([A-Z]+/\d\) (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Description:
    """A project's description, and how PyPI is to render it."""

    text: str
    content_type: str
    variant: str

    @property
    def key(self) -> str:
        """A digest that is equal for descriptions with the same rendering."""
        parts = (self.content_type, self.variant, self.text)
        return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


def description_of(raw: RawMetadata) -> Description | None:
    """Return what has to be rendered of the description in `raw`; None if nothing has to be."""
    description = raw.get("description")
    content_type, variant = _parsed(raw.get("description_content_type"))
    if not description or content_type not in _RENDERERS or len(description) > DESCRIPTION:
        return None
    if unknown_variant(raw) is not None:
        # It is refused for that, and the renderer returns nothing for it.
        return None
    return Description(description, content_type, variant)


def describe(description: Description) -> tuple[Finding, ...]:
    """Render a description as PyPI does, and report failures."""
    return _rendered(description.text, description.content_type, description.variant)


def description_findings(raw: RawMetadata) -> list[Finding]:
    """Report what is wrong with the description in `raw`, without rendering it.

    Content types that PyPI refuses anyway are ignored.
    """
    description = raw.get("description")
    if not description:
        return [
            discouraged(
                "description-missing",
                "There is no description, so the project's page will be empty.",
                "Set `readme` in pyproject.toml.",
            )
        ]
    declared = raw.get("description_content_type")
    content_type, _ = _parsed(declared)
    if content_type not in _RENDERERS:
        return []
    if len(description) > DESCRIPTION:
        return [
            doubtful(
                "description-not-judged",
                f"The description has {len(description)} characters, too many to check here "
                f"whether PyPI can render it.",
                "Shorten the readme.",
            )
        ]
    if declared is None:
        return [
            discouraged(
                "content-type-missing",
                "The description has no content type, so PyPI renders it as reStructuredText.",
                "Give `readme` in pyproject.toml a known file extension or a content-type.",
            )
        ]
    return []


def unknown_variant(raw: RawMetadata) -> str | None:
    """Return the Markdown variant that the metadata states, if it is none that there is."""
    content_type, variant = _parsed(raw.get("description_content_type"))
    return variant if content_type == "text/markdown" and variant not in _VARIANTS else None


def _parsed(declared: str | None) -> tuple[str, str]:
    """Return the content type and the Markdown variant of a Description-Content-Type."""
    if not declared:
        return "text/x-rst", "GFM"
    header = EmailMessage()
    try:
        header["content-type"] = declared
        return header.get_content_type(), header["content-type"].params.get("variant", "GFM")
    except (ValueError, IndexError, RecursionError):
        return "", "GFM"


# All files of a release have the same readme, and docutils is slow.
@functools.lru_cache(maxsize=8)
def _rendered(description: str, content_type: str, variant: str) -> tuple[Finding, ...]:
    if content_type == "text/markdown" and not _has_markdown_renderer():
        return (
            untried(
                "description-not-rendered-here",
                "The rendering of the description was not checked: the Markdown renderer, comrak, "
                "is not installed here, because it has no wheels for some platforms.",
                "You need not do anything; PyPI refuses Markdown only if the result is empty.",
            ),
        )
    # Each takes a tenth of a second to import, and a release needs one of them.
    renderer = importlib.import_module(f"{readme_renderer.__name__}.{_RENDERERS[content_type]}")
    warnings = io.StringIO()
    html: str | None
    try:
        if content_type == "text/x-rst":
            html = renderer.render(description, stream=warnings)
        elif content_type == "text/markdown":
            html = renderer.render(description, variant=variant)
        else:
            html = renderer.render(description)
    except (MemoryError, SystemError) as error:
        # C code may have had too little memory for its own exception.
        raise MemoryError from error
    except Exception as broken:  # noqa: BLE001 - PyPI makes the same call and answers 500
        html = None
        warnings.write(f"the renderer fails with {type(broken).__name__}: {sentence(broken)}")
    if html is not None:
        return ()
    reason = _reason(warnings.getvalue())
    remedy = (
        "Correct that line in the readme; `twine check` reports the same. Sphinx roles and "
        "directives are not part of reStructuredText."
        if content_type == "text/x-rst"
        else "Give the readme some content."
    )
    return (
        refused(
            "description-not-rendered",
            f"PyPI cannot render the description as {shown(content_type)}"
            f"{': ' + reason if reason else ''}.",
            remedy,
        ),
    )


def _has_markdown_renderer() -> bool:
    try:
        importlib.import_module("comrak")
    except ImportError:
        return False
    return True


def _reason(report: str) -> str:
    found = _REPORT.search(report)
    if found:
        return f"line {found['line']}: {sentence(found['text']).rstrip('.')}"
    return sentence(report).rstrip(".") if report.strip() else "the result is empty"
