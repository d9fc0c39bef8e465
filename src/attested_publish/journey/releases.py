"""The files of a run by release: a run may publish several projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.journey.outcome import report_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import counted

if TYPE_CHECKING:
    from attested_publish.journey.run import File, Run


def releases(run: Run) -> dict[tuple[str, str], list[File]]:
    """Return the files by project and version; both are empty where a name cannot be read."""
    by_release: dict[tuple[str, str], list[File]] = {}
    for file in run.files.values():
        project, version = file.distribution.release
        key = (project or "", "" if version is None else str(version))
        by_release.setdefault(key, []).append(file)
    return by_release


def print_releases(run: Run) -> None:
    """Print what became of each release, where there are several."""
    projects = report_of(run).projects()
    if len(projects) > 1:
        for release in projects:
            name = f"{shown(release['project'])} {shown(release['version'])}"
            files = counted(len(release["files"]), "file")
            run.printer.item(name, f"{files}, {release['status']}")
