"""PyPI's pages for people: where a project is shown and managed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from attested_publish.index.index import Index


def project_url(index: Index, project: str, version: str | None = None) -> str:
    """Return the page of a project, or of one of its releases."""
    page = f"{index.root}/project/{quote(project, safe='')}/"
    return page if version is None else f"{page}{quote(version, safe='')}/"


def settings_url(index: Index, project: str) -> str:
    """Return where a project is archived and unarchived."""
    return f"{index.root}/manage/project/{quote(project, safe='')}/settings/"


def publishers_url(index: Index, project: str, fields: Mapping[str, str] | None = None) -> str:
    """Return where a project's publishers are managed, the form prefilled with `fields`."""
    page = f"{settings_url(index, project)}publishing/"
    return f"{page}?{urlencode(fields)}" if fields else page


def pending_publishers_url(index: Index, fields: Mapping[str, str] | None = None) -> str:
    """Return where a publisher is registered for a project that does not exist yet."""
    page = f"{index.root}/manage/account/publishing/"
    return f"{page}?{urlencode(fields)}" if fields else page
