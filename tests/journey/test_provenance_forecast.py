"""The forecast of a release's provenance: what the index's page will say, before it says it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from werkzeug.wrappers import Request, Response

from attested_publish.distributions import copy_privately
from attested_publish.fronts.summary import summary
from attested_publish.identity.tokens import AmbientIdentity, detect
from attested_publish.index.contents import Contents
from attested_publish.index.pages import IndexFile, Page
from attested_publish.journey import publish
from attested_publish.journey.run import Means
from attested_publish.journey.served_provenance import ServedProvenance
from attested_publish.net.http import new_session
from attested_publish.net.patience import Deadlines, Patience
from attested_publish.rehearsal.history.reading import parse_history
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rules.provenance_states import ABSENT, UNREAD
from attested_publish.settings import Settings
from support.makers import make_release, make_wheel
from support.plain_index import OtherIndex, other
from support.releases import SDIST, SHORT, WHEEL, deadlines, problem, run_to, staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from attested_publish.rehearsal.request_log import Answered
    from attested_publish.report import Forecast, Report
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


MOVED = {"repository": "new-org/sample-project"}
OTHER_WORKFLOW = dict.fromkeys(
    ("workflow_ref", "job_workflow_ref"),
    "octo-org/sample-project/.github/workflows/other.yml@refs/tags/v1.0.0",
)
OURS = "GitHub octo-org/sample-project, release.yml"
THEIRS = "GitHub new-org/sample-project, release.yml"
TAGS = [f"cp3{minor}-cp3{minor}-win_amd64" for minor in range(10, 16)]
"""In the order of a page."""
SPENT = {"mint", "certificate", "log", "upload"}


@pytest.fixture
def answered() -> list[Answered]:
    """Return what the world is asked, from when a test empties it."""
    return []


@pytest.fixture
def stage(dist: Path, answered: list[Answered]) -> Iterator[Stage]:
    with staged(dist, record=answered.append) as stage:
        yield stage


def as_job(stage: Stage, **claims: str) -> None:
    """Let the next releases come from another job."""
    stage.world.issuer.claims = dict(job_claims({}, claims))


def released(stage: Stage, make: Any = make_release, **settings: str) -> Report:
    """Publish 1.0, and lay out 2.0."""
    report = stage.run(**settings)
    assert report.result == "done", problem(report)
    shutil.rmtree(stage.folder)
    stage.folder.mkdir()
    make(stage.folder, version="2.0")
    return report


def make_wheels(folder: Path, version: str) -> None:
    for tag in TAGS:
        make_wheel(folder, version=version, tag=tag)


def only(report: Report) -> Forecast:
    (forecast,) = report.forecast
    (record,) = report.as_json()["forecast"]
    assert record["states"] == list(forecast.states)
    return forecast


def asked(answered: list[Answered], *endpoints: str) -> list[str | None]:
    return [each.endpoint for each in answered if each.endpoint in endpoints]


def names(publishers: Any) -> list[str]:
    return [f"{each['kind']} {each['identity']}, {each['workflow']}" for each in publishers]


def rules(report: Report) -> list[str]:
    return [finding.rule for _, finding in report.findings("warning")]


def test_a_first_release_has_nothing_to_be_compared_with(stage: Stage) -> None:
    report = stage.run()
    forecast = only(report)
    assert (forecast.project, forecast.version) == ("sample", "1.0")
    assert forecast.states == ("full",)
    assert forecast.compared_with is None
    assert names(forecast.after) == [OURS]
    sentence = f"full provenance, from {OURS}; there is no earlier release to compare with"
    assert f"✓ sample 1.0: {sentence}" in stage.printed
    assert sentence in summary(report, 1 << 20)


def test_it_is_said_before_a_token_is_minted(stage: Stage) -> None:
    stage.run(verify_metadata="strict")
    assert stage.printed.index("sample 1.0: full provenance") < stage.printed.index("\ntoken")


def test_what_takes_its_time_is_said_before_the_upload(
    stage: Stage, answered: list[Answered]
) -> None:
    released(stage)
    answered.clear()
    stage.fault("integrity=slow:0.7*2")
    report = stage.run()
    assert only(report).states == ("full",)
    forecast = stage.printed.index("sample 2.0: full provenance")
    assert forecast < stage.printed.index("\nupload")
    first = {each.endpoint: each for each in reversed(answered)}
    assert first["mint"].start < first["integrity"].end, "nothing has waited for it"
    assert first["certificate"].start < first["integrity"].end
    assert first["integrity"].end < first["upload"].start


def test_the_same_source_again(stage: Stage) -> None:
    released(stage)
    forecast = only(stage.run(verify_metadata="strict"))
    assert (forecast.states, forecast.compared_with) == (("full",), "1.0")
    assert names(forecast.before) == names(forecast.after) == [OURS]
    assert "the source is that of 1.0" in stage.printed


def test_no_provenance_after_none(stage: Stage) -> None:
    released(stage, attestations="false")
    report = stage.run(attestations="false", verify_metadata="strict")
    assert report.result == "done", problem(report)
    assert (only(report).states, only(report).compared_with) == (("no",), "1.0")
    assert "sample 2.0: no provenance; 1.0 has no provenance" in stage.printed


def test_provenance_for_the_first_time(stage: Stage) -> None:
    released(stage, attestations="false")
    assert only(stage.run(verify_metadata="strict")).states == ("full",)


def test_partial_provenance_where_some_files_are_there_already(stage: Stage) -> None:
    (stage.folder / SDIST).rename(stage.folder.parent / SDIST)
    assert stage.run(attestations="false").result == "done"
    (stage.folder.parent / SDIST).rename(stage.folder / SDIST)
    report = stage.run(verify_metadata="strict")
    assert only(report).states == ("partial",)
    assert {name: file["provenance"] is None for name, file in stage.served().items()} == {
        WHEEL: True,
        SDIST: False,
    }


@pytest.mark.parametrize("claims", [MOVED, OTHER_WORKFLOW], ids=["source", "workflow"])
def test_inconsistent_where_others_have_published_files(
    stage: Stage, claims: dict[str, str]
) -> None:
    (stage.folder / SDIST).rename(stage.folder.parent / SDIST)
    assert stage.run().result == "done"
    (stage.folder.parent / SDIST).rename(stage.folder / SDIST)
    as_job(stage, **claims)
    forecast = only(stage.run())
    assert forecast.states == ("full", "inconsistent")
    assert len(forecast.after) == 2
    assert "inconsistent: not all from one source and workflow" in stage.printed


def test_another_source_is_a_warning_with_both_side_by_side(stage: Stage) -> None:
    released(stage)
    as_job(stage, **MOVED)
    report = stage.run()
    assert report.result == "done", problem(report)
    forecast = only(report)
    assert forecast.states == ("full", "changed")
    assert (names(forecast.before), names(forecast.after)) == ([OURS], [THEIRS])
    assert rules(report) == ["provenance-changed"]
    assert f"· sample 2.0: full provenance, from {THEIRS}; changed: 1.0 is from {OURS}" in (
        stage.printed
    )
    assert f"1.0 is from {OURS}; 2.0 will be from {THEIRS}." in stage.printed
    page = summary(report, 1 << 20)
    assert f"| {OURS} | {THEIRS} |" in page
    assert "An intrusion looks like that, and so does a moved repository." in page


def test_another_workflow_is_no_other_source(stage: Stage) -> None:
    released(stage)
    as_job(stage, **OTHER_WORKFLOW)
    assert only(stage.run(verify_metadata="strict")).states == ("full",)


def test_lost_provenance_is_a_warning(stage: Stage) -> None:
    released(stage)
    report = stage.run(attestations="false")
    assert report.result == "done", problem(report)
    forecast = only(report)
    assert forecast.states == ("no", "lost")
    assert (names(forecast.before), forecast.after) == ([OURS], ())
    assert rules(report) == ["provenance-lost"]
    assert f"sample 2.0: no provenance; lost: 1.0 has provenance, from {OURS}" in stage.printed
    assert f"| {OURS} | none |" in summary(report, 1 << 20)


def test_a_password_loses_provenance(stage: Stage) -> None:
    released(stage)
    report = stage.run(password=stage.world.index.add_user_token())
    assert report.result == "done", problem(report)
    assert only(report).states == ("no", "lost")


@pytest.mark.parametrize("mode", [publish.publish, publish.check])
@pytest.mark.parametrize(
    ("settings", "claims"),
    [({"attestations": "false"}, {}), ({}, MOVED), ({"password": "pypi-of-somebody"}, {})],
    ids=["lost", "changed", "password"],
)
def test_strict_stops_before_anything_is_spent(
    stage: Stage,
    answered: list[Answered],
    mode: Any,
    settings: dict[str, str],
    claims: dict[str, str],
) -> None:
    released(stage)
    as_job(stage, **claims)
    signed = len(stage.world.log)
    minted = len(stage.world.index.issued_tokens)
    answered.clear()
    report = stage.run(mode, verify_metadata="strict", **settings)
    assert report.result == "refused"
    assert report.problems[0].title == "The provenance would not be what it was"
    assert OURS in problem(report)
    assert "set `verify-metadata: true`" in problem(report)
    assert report.problems[0].stage == "index"
    assert not asked(answered, *SPENT)
    assert len(stage.world.log) == signed
    assert len(stage.world.index.issued_tokens) == minted
    assert {name.split("-")[1] for name in stage.served()} == {"1.0", "1.0.tar.gz"}
    assert len(only(report).states) == 2


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "fault", ["500", "404", "html", "garbage", "endless", "bomb", "nested", "objects", "disabled"]
)
@pytest.mark.parametrize("verify_metadata", ["true", "strict"])
def test_what_cannot_be_read_is_unknown_and_no_obstacle(
    stage: Stage, fault: str, verify_metadata: str
) -> None:
    released(stage)
    as_job(stage, **MOVED)
    stage.fault(f"integrity={fault}")
    report = stage.run(verify_metadata=verify_metadata, confirm="false")
    assert report.result == "done", problem(report)
    forecast = only(report)
    assert forecast.states == ("full", "unknown")
    assert forecast.compared_with == "1.0"
    assert forecast.before == ()
    assert forecast.why_unknown
    assert "not everything is known (" in stage.printed
    assert not rules(report)


@pytest.mark.sample(1)
@pytest.mark.parametrize("verify_metadata", ["true", "strict"])
def test_what_hangs_is_not_waited_for_long(stage: Stage, verify_metadata: str) -> None:
    released(stage)
    stage.fault("integrity=hang")
    report = stage.run(verify_metadata=verify_metadata, confirm="false")
    assert report.result == "done", problem(report)
    assert only(report).states == ("full", "unknown")


def test_one_that_passes_is_asked_again(stage: Stage) -> None:
    released(stage)
    stage.fault("integrity=500*2")
    assert only(stage.run()).states == ("full",)


def test_of_many_files_few_are_read_unless_the_source_is_another(
    stage: Stage, answered: list[Answered]
) -> None:
    shutil.rmtree(stage.folder)
    stage.folder.mkdir()
    make_wheels(stage.folder, "1.0")
    released(stage)
    answered.clear()
    assert only(stage.run(publish.check)).states == ("full",)
    assert len(asked(answered, "integrity")) == 4
    as_job(stage, **MOVED)
    answered.clear()
    report = stage.run(publish.check)
    assert only(report).states == ("full", "changed")
    assert len(asked(answered, "integrity")) == len(TAGS)


def test_a_source_that_only_the_last_file_has_is_none_that_is_new(stage: Stage) -> None:
    """Four files are read at first: this one is not among them."""
    shutil.rmtree(stage.folder)
    stage.folder.mkdir()
    make_wheels(stage.folder, "1.0")
    first, *rest = sorted(stage.folder.iterdir(), reverse=True)
    kept = [each.rename(stage.folder.parent / each.name) for each in rest]
    as_job(stage, **MOVED)
    assert stage.run().result == "done"
    as_job(stage)
    for each in kept:
        each.rename(stage.folder / each.name)
    assert first.exists()
    released(stage)
    as_job(stage, **MOVED)
    forecast = only(stage.run(publish.check, verify_metadata="strict"))
    assert forecast.states == ("full",)


def test_ready_made_attestations_count_where_nothing_is_signed(stage: Stage) -> None:
    assert stage.run(publish.attest).result == "done"
    (stage.folder / f"{SDIST}.publish.attestation").unlink()
    # Its policy is that of the job before, but a reusable workflow signs nothing itself.
    caller = "octo-org/sample-project/.github/workflows/caller.yml@refs/tags/v1.0.0"
    as_job(stage, workflow_ref=caller, job_workflow_ref=caller.replace("caller", "release"))
    report = stage.run()
    assert report.result == "done", problem(report)
    assert only(report).states == ("partial",)
    assert [name for name, file in stage.served().items() if file["provenance"]] == [WHEEL]


def test_check_without_an_identity_says_what_it_can(stage: Stage) -> None:
    released(stage)
    targets_at = stage.targets_at
    nobody = partial(detect, environment={})
    stage.targets_at = lambda address: replace(targets_at(address), ambient=nobody)
    report = stage.run(publish.check, verify_metadata="strict")
    assert report.result == "done", problem(report)
    forecast = only(report)
    assert forecast.states == ("unknown",)
    assert (names(forecast.before), forecast.after) == ([OURS], ())
    assert f"1.0 is from {OURS}" in stage.printed
    assert "its provenance is not known (it depends on the job" in stage.printed
    assert only(stage.run(publish.check, attestations="false")).states == ("no", "lost")


def test_with_nothing_to_upload_nothing_is_asked(stage: Stage, answered: list[Answered]) -> None:
    stage.run()
    answered.clear()
    report = stage.run(confirm="false")
    assert not report.forecast
    assert not asked(answered, "integrity")


def test_an_index_without_provenance_has_no_forecast(stage: Stage) -> None:
    with other(stage, OtherIndex()) as publisher:
        report = publisher.run()
    assert report.result == "done", problem(report)
    assert report.as_json()["forecast"] == []


def test_an_index_whose_pages_cannot_be_read_has_no_forecast(stage: Stage) -> None:
    stage.fault("simple=html")
    report = stage.run()
    assert report.result == "done", problem(report)
    assert not report.forecast


def test_texts_of_others_are_harmless(stage: Stage) -> None:
    released(stage)
    as_job(stage, repository="a::set-output/b\u202e|<b>")
    report = stage.run(publish.check)
    page = summary(report, 1 << 20)
    assert "\u202e" not in stage.printed + page
    assert "<b>" not in page


def laid_out(stage: Stage, *projects: str, version: str, tags: Sequence[str] = TAGS) -> None:
    shutil.rmtree(stage.folder)
    stage.folder.mkdir()
    for project in projects:
        for tag in tags:
            make_wheel(stage.folder, name=project, version=version, tag=tag)


@pytest.mark.parametrize("fault", ["404*4", "disabled*4"])
def test_four_that_cannot_be_read_hide_no_other_source(stage: Stage, fault: str) -> None:
    laid_out(stage, "sample", version="1.0")
    released(stage)
    as_job(stage, **MOVED)
    stage.fault(f"integrity={fault}")
    report = stage.run(publish.check, verify_metadata="strict")
    assert only(report).states == ("full", "changed", "unknown")
    assert report.result == "refused"
    assert names(only(report).before) == [OURS]


def test_four_that_say_nothing_hide_no_other_source(stage: Stage) -> None:
    files = [f"sample-1.0-{tag}.whl" for tag in TAGS]
    ours = {"repository": "octo-org/sample-project", "workflow": "release.yml"}
    releases = [
        {"publisher": ours, "fault": "empty", "files": files[:4]},
        {"publisher": ours, "files": files[4:]},
    ]
    history = [{"project": "sample", "version": "1.0", **each} for each in releases]
    stage.world.fill(parse_history(json.dumps({"releases": history})))
    laid_out(stage, "sample", version="2.0", tags=TAGS[:1])
    as_job(stage, **MOVED)
    report = stage.run(publish.check, verify_metadata="strict")
    assert only(report).states == ("full", "changed", "unknown")
    assert report.result == "refused"
    assert names(only(report).before) == [OURS]


def test_one_that_hangs_leaves_time_for_the_others(stage: Stage) -> None:
    """Nobody is called a stranger who has published others of the files, and is not read."""
    laid_out(stage, "sample", version="1.0", tags=TAGS[:4])
    assert stage.run().result == "done"
    as_job(stage, **MOVED)
    laid_out(stage, "sample", version="1.0", tags=TAGS[4:])
    assert stage.run().result == "done"
    laid_out(stage, "sample", version="2.0", tags=TAGS[:1])
    stage.deadlines = deadlines(3.0, answer=10.0)
    stage.fault("integrity=hang*1")
    report = stage.run(publish.check, verify_metadata="strict")
    assert only(report).states == ("full", "unknown")
    assert names(only(report).before) == [THEIRS, OURS]
    assert report.result == "done"


def test_a_warning_says_what_was_not_read(stage: Stage) -> None:
    laid_out(stage, "sample", version="1.0", tags=TAGS)
    assert stage.run().result == "done"
    laid_out(stage, "sample", version="2.0", tags=TAGS[:1])
    as_job(stage, **MOVED)
    stage.fault("integrity=404*1")
    report = stage.run(publish.check, verify_metadata="strict")
    assert report.result == "refused"
    assert "Not everything is known: sample-1.0-cp3" in problem(report)


def test_a_try_that_failed_before_is_no_reason(stage: Stage) -> None:
    released(stage)
    # Whichever of the two files gets it.
    for _ in range(5):
        stage.fault("integrity=500*1")
        stage.fault("integrity=404*1")
        assert "500" not in (only(stage.run(publish.check)).why_unknown or "500")


SOMEBODYS_PROVENANCE = {
    "attestation_bundles": [
        {
            "publisher": {"kind": "GitHub", "repository": "octo-org/x", "workflow": "r.yml"},
            "attestations": [1],
        }
    ]
}


class Replacing(OtherIndex):
    """Replaces what it has, and lists a provenance of every file."""

    def answer(self, request: Request) -> Response:
        if request.path.startswith("/provenance/"):
            return Response(json.dumps(SOMEBODYS_PROVENANCE), content_type="application/json")
        return super().answer(request)

    def take(self, request: Request) -> Response:
        self.files.pop(request.files["content"].filename or "", None)
        return super().take(request)

    def page(self, request: Request) -> Response:
        page = json.loads(super().page(request).get_data())
        for file in page["files"]:
            file["provenance"] = f"/provenance/{file['filename']}"
        return Response(
            json.dumps(page | {"meta": {"api-version": "1.3"}}),
            content_type="application/vnd.pypi.simple.v1+json",
        )


@pytest.mark.parametrize("there", [[WHEEL], [WHEEL, SDIST]], ids=["one", "all"])
def test_a_release_whose_files_are_replaced_has_a_forecast(stage: Stage, there: list[str]) -> None:
    index = Replacing(files=dict.fromkeys(["sample-0.9.tar.gz", *there], "0" * 64))
    with other(stage, index) as publisher:
        report = publisher.run(verify_metadata="false")
    assert only(report).states == ("no", "lost")
    assert index.files.keys() == {"sample-0.9.tar.gz", WHEEL, SDIST}
    assert "0" * 64 not in {index.files[WHEEL], index.files[SDIST]}


@pytest.mark.sample(1)
@pytest.mark.parametrize("fault", ["hang", "404", "500"])
def test_provenance_that_is_listed_and_not_served_is_lost_all_the_same(
    stage: Stage, fault: str
) -> None:
    released(stage)
    stage.fault(f"integrity={fault}")
    report = stage.run(attestations="false", verify_metadata="strict")
    assert only(report).states == ("no", "lost", "unknown")
    assert report.result == "refused"
    assert "lost: 1.0 has provenance; not everything is known" in stage.printed
    assert "from none" not in stage.printed
    assert "| some, but by whom is not known | none |" in summary(report, 1 << 20)


def test_of_files_that_are_there_it_is_known_that_they_have_some(stage: Stage) -> None:
    (stage.folder / SDIST).rename(stage.folder.parent / SDIST)
    assert stage.run().result == "done"
    (stage.folder.parent / SDIST).rename(stage.folder / SDIST)
    stage.fault("integrity=404")
    assert only(stage.run(publish.check)).states == ("full", "unknown")
    assert only(stage.run(publish.check, attestations="false")).states == ("partial", "unknown")


def test_why_it_is_unknown_is_what_was_answered(stage: Stage) -> None:
    released(stage)
    stage.fault("integrity=500")
    assert "500" in (only(stage.run(publish.check)).why_unknown or "")
    stage.world.faults.clear()
    stage.fault("integrity=hang")
    assert "time" in (only(stage.run(publish.check)).why_unknown or "")


def test_several_projects_are_waited_for_once(stage: Stage) -> None:
    """Each of them would take as long as one may: the time is not theirs alone."""
    projects = ("first", "second", "third")
    laid_out(stage, *projects, version="1.0", tags=TAGS[:5])
    assert stage.run().result == "done", stage.printed
    laid_out(stage, *projects, version="2.0", tags=TAGS[:1])
    as_job(stage, **MOVED)
    stage.deadlines = Deadlines()
    stage.fault("integrity=slow:1.4")
    started = time.monotonic()
    report = stage.run(publish.check)
    assert len(report.forecast) == 3
    # Two seconds, of which the first reading takes 1.4 to 2.8; one after another it was 5.6.
    assert report.seconds["index"] < 3.5
    assert time.monotonic() - started < 10


def test_a_hanging_index_is_waited_for_two_seconds_and_ten_where_it_counts(stage: Stage) -> None:
    released(stage)
    stage.deadlines = replace(Deadlines(), index=Patience(4))
    stage.fault("integrity=hang")
    assert stage.run(publish.check).seconds["index"] < 3.5
    strict = stage.run(publish.check, verify_metadata="strict")
    assert 3.5 < strict.seconds["index"] < 6


def test_at_most_fifty_of_the_release_before_are_read(
    stage: Stage, answered: list[Answered]
) -> None:
    released(stage)
    answered.clear()
    with reading(stage, version="1.0", number=70) as (served, _):
        (release,) = served.releases()
        served.read_on([(release, [ABSENT])])
        # An answer is recorded once it is sent.
        time.sleep(0.5)
        assert len(asked(answered, "integrity")) == 50
        assert served.before(release, [ABSENT]).count(UNREAD) == 70
        assert "50 files" in served.why_unknown(replace(release, there=(), earlier=()))


def test_all_readings_share_one_deadline(stage: Stage) -> None:
    released(stage)
    stage.deadlines = deadlines(4.0, answer=10.0)
    with reading(stage, version="1.0", number=50, fault="slow:1") as (served, _):
        started = time.monotonic()
        (release,) = served.releases()
        assert 0.9 < time.monotonic() - started < 1.9
        served.read_on([(release, [ABSENT])])
        # Three seconds are left: as many again would be five.
        assert 3.9 < time.monotonic() - started < 4.8


def test_after_a_deadline_nothing_more_is_read(stage: Stage, answered: list[Answered]) -> None:
    released(stage)
    stage.deadlines = deadlines(1.0, answer=10.0)
    answered.clear()
    with reading(stage, version="1.0", number=50, fault="slow:1.2") as (served, _):
        (release,) = served.releases()
        served.read_on([(release, [ABSENT])])
        assert "in time" in served.why_unknown(release)
        # Four were asked for, and after half of the time eight more; others would be answered now.
        time.sleep(2.5)
        assert len(asked(answered, "integrity")) == 12


def test_what_is_replaced_does_not_count_as_it_is(stage: Stage) -> None:
    released(stage)
    with reading(stage, version="2.0", number=3) as (served, contents):
        (release,) = served.releases()
        first = release.there[0].filename
        assert len(served.files(release, contents)) == 3
        assert len(served.files(release, replace(contents, to_replace=frozenset({first})))) == 2


@contextlib.contextmanager
def reading(
    stage: Stage, *, version: str, number: int, fault: str = "404"
) -> Iterator[tuple[ServedProvenance, Contents]]:
    """Read the provenance that an index lists of this many wheels, and answers with a fault."""
    stage.fault(f"integrity={fault}")
    address = stage.world.index_url.replace("/simple/", "/integrity/sample/9.9/{}/provenance")
    files = {}
    for count in range(number):
        name = f"sample-{version}-{count}-py3-none-any.whl"
        digest = f"{count:064x}"
        url = f"{stage.world.index_url}{name}"
        files[name] = IndexFile(name, digest, url, address.format(WHEEL))
    contents = Contents({"sample": Page(files)})
    targets = stage.targets_at(stage.world.upload_url)
    run = run_to(targets, Settings(), Console(file=io.StringIO()))
    with copy_privately([stage.folder]) as copies, new_session() as session:
        ambient = AmbientIdentity(stage.world.ambient, SHORT.identity, run.mask, lambda _: None)
        run.means = Means(session, ambient, contextlib.ExitStack())
        yield (
            ServedProvenance(run, copies.distributions, lambda: contents, may_stop=True),
            contents,
        )
