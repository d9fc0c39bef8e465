"""The tag that a release is made on: whether there is one, and whether it names the versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attested_publish.identity.refs import tag_in
from attested_publish.net.untrusted import shown
from attested_publish.problems import TagProblem, Topic
from attested_publish.rules.version_tag import Release, findings_of_tag
from attested_publish.settings import TagPattern, VersionTag

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding
    from attested_publish.journey.run import Run


def stop_without_tag(run: Run) -> None:
    """Raise `TagProblem` if the settings require a tag that names the version, and there is none.

    It comes first of all: nothing can be done about it in this run.
    """
    wish, ref = run.settings.version_tag, run.targets.ref
    if wish in {VersionTag.AUTO, VersionTag.NEVER} or tag_in(ref) is not None:
        return
    text = wish.text if isinstance(wish, TagPattern) else wish.value
    where = f"runs on {shown(ref, 200)}" if ref else "has no variable that names a Git ref"
    raise TagProblem(
        "There is no tag that could name the version",
        topic=Topic.NO_TAG,
        detail=f"version-tag is {shown(text, 80)!r}, but this job {where}.",
        remedy="Publish from a job that runs on the tag of the release (GitHub: `on: release` or "
        "`on: push: tags`; GitLab: `rules: - if: $CI_COMMIT_TAG`), or set version-tag to auto, "
        "which needs no tag. `attested-publish rehearse --claim ref=…` simulates another ref.",
    )


def tag_findings(run: Run, distributions: Sequence[Distribution]) -> dict[str, Finding]:
    """Return by filename what is wrong with the tag for each file of a release."""
    tag = tag_in(run.targets.ref)
    if tag is None:
        return {}
    by_file = {
        each.filename: Release(each.project, each.version)
        for each in distributions
        if each.project is not None and each.version is not None
    }
    found = findings_of_tag(tag, by_file.values(), run.settings.version_tag)
    return {name: found[release] for name, release in by_file.items() if release in found}
