"""Find out what an index can do, by what it answers; nothing follows from where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.index.index import Dialect

if TYPE_CHECKING:
    from attested_publish.index.contents import Contents


def dialect_of_pages(contents: Contents) -> Dialect:
    """Return the dialect that project pages show; `UNKNOWN` if there are none.

    PyPI's server puts a serial number and a status on its pages. Others may serve
    provenance (PEP 740).
    """
    pages = [page for page in contents.pages.values() if page is not None]
    if any(page.is_of_pypi for page in pages):
        return Dialect.PYPI
    if any(page.has_provenance for page in pages):
        return Dialect.ATTESTING
    return Dialect.OTHER if pages else Dialect.UNKNOWN
