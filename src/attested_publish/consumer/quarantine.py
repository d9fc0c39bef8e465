"""Projects that an index has put into quarantine (PEP 792): nobody is to install them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.index.pages import Page, ProjectStatus
from attested_publish.index.site import project_url
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexRefuses, Topic

if TYPE_CHECKING:
    from attested_publish.index.index import Index


def refuse_quarantined(index: Index, project: str, page: Page) -> None:
    """Raise `IndexRefuses` for a project in quarantine, whatever files its page lists."""
    if page.status is not ProjectStatus.QUARANTINED:
        return
    reason = f" ({shown(page.status_reason, 200)})" if page.status_reason else ""
    raise IndexRefuses(
        f"{shown(project)} is quarantined on {index.name}",
        topic=Topic.PROJECT_CLOSED,
        detail="The index suspects that the project is malicious: nobody is to install "
        f"it{reason}.",
        remedy="Do not use files of this project that you have already. Its page says when the "
        f"quarantine ends: {project_url(index, project)}",
    )
