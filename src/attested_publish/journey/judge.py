"""The second stage: what the index would refuse in the files themselves, all at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.findings import OTHER_BYTES, Finding, Severity
from attested_publish.index.package import unreadable
from attested_publish.journey.release_tag import tag_findings
from attested_publish.journey.releases import releases
from attested_publish.journey.run import State
from attested_publish.net.untrusted import first_shown, shown
from attested_publish.problems import RulesProblem, Stage, Topic, counted
from attested_publish.rules.release import check_release
from attested_publish.rules.version_tag import RULE as TAG_RULE
from attested_publish.settings import VerifyMetadata

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.journey.run import File, Run


def judge(run: Run, distributions: Sequence[Distribution]) -> None:
    """Find what the index would refuse in the files, one by one and together.

    Whether the tag of the release names their versions is a setting of its own.
    """
    if run.release.findings is not None:
        # They were printed at the index before, and apply everywhere.
        for filename, known in run.release.findings.items():
            run.files[filename].findings.extend(known)
        return
    of_tag = tag_findings(run, distributions)
    if run.settings.verify_metadata is not VerifyMetadata.NOTHING:
        with run.recorder.stage(Stage.RULES, "what the index would refuse"):
            _judge_files(run, distributions, of_tag)
    elif of_tag:
        with run.recorder.stage(Stage.RULES, "what the tag says"):
            for each in distributions:
                run.add_findings(each, _of(of_tag, each))
    run.release.findings = {name: tuple(file.findings) for name, file in run.files.items()}


def _judge_files(
    run: Run, distributions: Sequence[Distribution], of_tag: Mapping[str, Finding]
) -> None:
    of_release = check_release(distributions)
    for each in distributions:
        of_file = run.verdicts.of(each)
        run.add_findings(each, (*of_file, *of_release.get(each.filename, ()), *_of(of_tag, each)))
    # What is still to be read of the files takes little time, and the memory is needed.
    run.sandbox.keep_one()
    if not run.found(*Severity):
        run.printer.item(f"{counted(len(distributions), 'file')} passed")


def _of(of_tag: Mapping[str, Finding], distribution: Distribution) -> list[Finding]:
    return [of_tag[distribution.filename]] if distribution.filename in of_tag else []


def stopping_findings(run: Run) -> list[tuple[File, Finding]]:
    """Return the findings that stop the run: errors, and with `strict` warnings too."""
    severities = {Severity.ERROR}
    if run.settings.verify_metadata is VerifyMetadata.STRICT:
        severities.add(Severity.WARNING)
    return [(file, each) for file, each in run.found(*severities) if each.rule != OTHER_BYTES]


def stop_if_refused(run: Run) -> None:
    """Raise `RulesProblem` where the index surely refuses something, naming all of it at once.

    Also where the tag does not name the version of a file, and the settings require it.
    """
    found = stopping_findings(run)
    if not found:
        return
    refused = {file.distribution.filename: file for file, _ in found}
    for file in refused.values():
        file.state = State.REFUSED
    rules = {each.rule for _, each in found}
    remedy = (
        found[0][1].remedy
        if len(rules) == 1
        else "Correct each of these, build again, and run again."
    )
    if _may_take_more(run, rules):
        remedy += (
            f"\nThese are PyPI's rules: if {run.targets.index.name} accepts such files, set "
            "`verify-metadata: false`."
        )
    files = f"{len(refused)} of {counted(len(run.files), 'file')}"
    is_of_tag = rules == {TAG_RULE}
    told = list(_told(found))
    problem = RulesProblem(
        f"The tag does not name the version of {files}"
        if is_of_tag
        else f"{files} would be refused",
        topic=Topic.OTHER_TAG if is_of_tag else Topic.FILES_WOULD_BE_REFUSED,
        detail="\n".join((*told, *_held_up(run))),
        remedy=remedy,
        file=next(iter(refused)) if len(refused) == 1 else None,
    )
    problem.listed = len(told)
    raise problem


def _told(found: Sequence[tuple[File, Finding]]) -> Iterator[str]:
    """Yield a line for each finding; what the tag says is one line for a whole release."""
    of_tag: dict[Finding, list[str]] = {}
    for file, finding in found:
        if finding.rule == TAG_RULE:
            of_tag.setdefault(finding, []).append(file.distribution.filename)
        else:
            yield f"{shown(file.distribution.filename)}: {finding.message}"
    for finding, names in of_tag.items():
        yield f"{first_shown(names)}: {finding.message}"


def _may_take_more(run: Run, rules: Collection[str]) -> bool:
    """Whether the index may accept what PyPI refuses; a name that is taken is its own answer."""
    is_of_pypi = bool(set(rules) - {TAG_RULE}) and "filename-taken" not in rules
    return is_of_pypi and not run.targets.index.works_as_pypi


def _held_up(run: Run) -> Iterator[str]:
    """Yield which other releases have no findings, and mark their files as checked."""
    for (project, version), files in releases(run).items():
        pending = [file for file in files if file.state is State.PENDING]
        if pending and not any(file.state is State.REFUSED for file in files):
            for file in pending:
                file.state = State.CHECKED
            yield (
                f"Nothing is wrong with {shown(project)} {shown(version)} "
                f"({counted(len(pending), 'file')}): it could be published on its own."
            )


def stop_if_unreadable(run: Run, distributions: Sequence[Distribution]) -> None:
    """Raise `RulesProblem` where twine could not send a file, and no rule would have said so.

    Where `verify-metadata` is false, or a file was too large to be judged to its end, whatever the
    index takes is uploaded; but what cannot be sent must not be signed.
    """
    unjudged = [each for each in distributions if not _is_judged(run, each)]
    refused = unreadable(run.sandbox, unjudged, index_judges=index_judges(run))
    if not refused:
        return
    for filename in refused:
        run.files[filename].state = State.REFUSED
    raise RulesProblem(
        f"{len(refused)} of {counted(len(distributions), 'file')} cannot be sent",
        topic=Topic.FILES_WOULD_BE_REFUSED,
        detail="\n".join(
            f"{shown(filename)}: twine cannot read its metadata: {why}."
            for filename, why in refused.items()
        ),
        remedy="Build again with a current build backend, and run again.",
        file=next(iter(refused)) if len(refused) == 1 else None,
    )


def index_judges(run: Run) -> bool:
    """Whether the index alone decides what it takes: so the user wishes, or it is not PyPI.

    twine applies PyPI's rules to what it sends, as the rules here have done before.
    """
    is_waived = run.settings.verify_metadata is VerifyMetadata.NOTHING
    return is_waived or not run.targets.index.works_as_pypi


def _is_judged(run: Run, distribution: Distribution) -> bool:
    """Whether the rules have seen all of a file."""
    if run.settings.verify_metadata is VerifyMetadata.NOTHING:
        return False
    found = run.files[distribution.filename].findings
    return not any(finding.rule == "archive-not-judged" for finding in found)


def mark_checked(run: Run) -> None:
    """Mark the files that have nothing against them; what the index has stays so."""
    for file in run.in_state(State.PENDING):
        file.state = State.CHECKED
