"""What is wrong with a job that publishes to PyPI or TestPyPI: one function a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from attested_publish import DOCUMENTATION
from attested_publish.findings import Severity
from attested_publish.setup.jobs import Job, Kind, Provider, Spot

if TYPE_CHECKING:
    from attested_publish.setup.workflows import Elsewhere

_MOST = 500
STORED_TOKEN = "stored-token"  # noqa: S105 - a rule


@dataclass(frozen=True)
class Finding:
    """One finding about a line of a file."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    remedy: str

    def as_json(self) -> dict[str, Any]:
        """Return its part of the report."""
        return {**asdict(self), "severity": self.severity.value}


def findings(jobs: Iterable[Job], elsewhere: Iterable[Elsewhere]) -> list[Finding]:
    """Return what is wrong with the jobs that publish, by file and line, each once."""
    found: dict[tuple[str, Spot], Finding] = {}
    for job in jobs:
        if job.is_public:
            for rule in _RULES:
                for each in rule(job):
                    found.setdefault((each.rule, Spot(each.file, each.line)), each)
    for call in elsewhere:
        each = _reusable_elsewhere(call)
        found.setdefault((each.rule, call.spot), each)
    return sorted(found.values(), key=lambda each: (each.file, each.line, each.rule))[:_MOST]


def _finding(
    rule: str, spot: Spot, message: str, remedy: str, severity: Severity = Severity.WARNING
) -> Finding:
    return Finding(rule, severity, spot.file, spot.line, message, remedy)


def _builds_with_identity(job: Job) -> Iterator[Finding]:
    for spot in job.builds if job.has_identity else ():
        yield _finding(
            "builds-with-identity",
            spot,
            f"The job {job.name} builds, and may request an identity token: any code that runs "
            "during the build could publish.",
            "Build in a job without that permission, and pass the files on as an artifact.",
        )


def _cache_with_identity(job: Job) -> Iterator[Finding]:
    for spot in job.caches if job.has_identity else ():
        yield _finding(
            "cache-with-identity",
            spot,
            f"The job {job.name} restores a cache, and may request an identity token: another "
            "workflow could have poisoned that cache.",
            "Use no cache in the job that publishes (setup-uv has one unless it is given "
            "`enable-cache: false`).",
        )


def _untrusted_trigger(job: Job) -> Iterator[Finding]:
    for trigger in job.untrusted:
        is_refused = trigger.event == "pull_request_target"
        yield _finding(
            "untrusted-trigger",
            trigger.spot,
            f"{trigger.event} can start the job {job.name}, and strangers can cause it."
            + (" PyPI accepts no releases from it." if is_refused else ""),
            "Publish on the push of a tag or on a release; or ask in the job's condition whose "
            "change it is.",
            Severity.ERROR if is_refused else Severity.WARNING,
        )


def _any_branch(job: Job) -> Iterator[Finding]:
    if job.any_branch is not None:
        yield _finding(
            "any-branch",
            job.any_branch,
            f"A push to any branch can start the job {job.name}, and nothing asks for which: "
            "whoever may push to some branch may publish.",
            "Publish tags only: `on: {push: {tags: ['v*']}}`, or a condition on the ref."
            if job.provider is Provider.GITHUB
            else "Publish tags only: `rules: [{if: $CI_COMMIT_TAG}]`.",
        )


def _no_environment(job: Job) -> Iterator[Finding]:
    if job.environment == "":
        yield _finding(
            "no-environment",
            job.spot,
            f"The job {job.name} has no environment, so it publishes without anyone's "
            "approval, and any other job in the same file could publish, too.",
            "Give it one, such as `environment: pypi`, enter its name on PyPI, and protect it in "
            "the repository's settings.",
        )


def _wide_permissions(job: Job) -> Iterator[Finding]:
    for what, spot in job.wide:
        yield _finding(
            "wide-permissions",
            spot,
            f"The job {job.name} publishes, and has more permissions than it needs: {what}.",
            "Give the publishing job `permissions: {id-token: write}`, and other jobs only what "
            "they need.",
        )


def _unpinned_action(job: Job) -> Iterator[Finding]:
    for uses, spot in job.unpinned:
        yield _finding(
            "unpinned-action",
            spot,
            f"{uses} is not pinned by a commit: whoever changes what it refers to can publish.",
            "Pin it by its full commit, with the version in a comment.",
        )


def _reusable_workflow(job: Job) -> Iterator[Finding]:
    if job.is_reusable:
        yield _finding(
            "reusable-workflow",
            job.spot,
            f"The job {job.name} publishes from a reusable workflow: PyPI's token exchange looks "
            "at the file that defines the job, and its check of attestations at the file that was "
            "started. No publisher matches both.",
            "Let the reusable workflow build, and publish in a job of the workflow that is "
            f"started: {DOCUMENTATION}docs/reusable-workflows.md.",
        )


def _reusable_elsewhere(call: Elsewhere) -> Finding:
    return _finding(
        "reusable-workflow",
        call.spot,
        f"The workflow {call.uses} is in another repository, and may request an identity token: "
        "PyPI accepts no releases from there.",
        f"Publish in a job of your own workflow: {DOCUMENTATION}docs/reusable-workflows.md.",
        Severity.ERROR,
    )


def _stored_token(job: Job) -> Iterator[Finding]:
    for upload in job.uploads:
        if upload.has_secret and any(place.is_public for place in upload.places):
            yield _finding(
                STORED_TOKEN,
                upload.spot,
                f"The job {job.name} uploads with a stored secret, which works for whoever gets "
                "hold of it, for as long as it is valid.",
                "Register the publisher on PyPI, leave the secret out, and delete the token."
                if upload.kind in {Kind.PYPA, Kind.OURS} or upload.tool in {"twine", "uv"}
                else "Use trusted publishing: register the publisher on PyPI, and delete the "
                "token.",
            )


_RULES: tuple[Callable[[Job], Iterator[Finding]], ...] = (
    _builds_with_identity,
    _cache_with_identity,
    _untrusted_trigger,
    _any_branch,
    _no_environment,
    _wide_permissions,
    _unpinned_action,
    _reusable_workflow,
    _stored_token,
)
