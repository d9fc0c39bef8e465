"""Indexes other than PyPI, row by row: what each answers, and what a release makes of it.

The rows are those of `support.other_indexes`; real ones are in tests/e2e/e2e_indexes.py.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from attested_publish.findings import Severity
from attested_publish.problems import Topic
from support.makers import make_wheel
from support.other_indexes import (
    ARTIFACTORY,
    DEVPI,
    EVERY_SOFTWARE,
    GITEA,
    GITLAB,
    NEXUS,
    PASSWORD,
    PULP,
    PYPISERVER,
    READER,
    READERS_PASSWORD,
    USER,
    Job,
    OtherIndex,
    Reply,
    Software,
    job_for,
)
from support.releases import SDIST, WHEEL, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.findings import Finding
    from attested_publish.report import FileReport, ProblemReport, Report

pytestmark = pytest.mark.sample(3)


BOTH = {WHEEL, SDIST}


@pytest.fixture(params=EVERY_SOFTWARE, ids=lambda software: software.name)
def software(request: pytest.FixtureRequest) -> Software:
    return request.param


@pytest.fixture
def job(software: Software, dist: Path) -> Iterator[Job]:
    with job_for(OtherIndex(software), dist) as job:
        yield job


def statuses(report: Report) -> set[str]:
    return {str(file.status) for file in report.files.values()}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_another_wheel(job: Job) -> None:
    """Let the index have a wheel of the same name, with other bytes."""
    there = make_wheel(job.folder, extra_files={"sample/other.py": b"other = True\n"})
    job.index.hold(there)
    make_wheel(job.folder)
    assert job.index.files[WHEEL] != (job.folder / WHEEL).read_bytes()


def only_problem(report: Report) -> ProblemReport:
    problem(report)
    return report.problems[0]


def is_about_a_taken_name(read_on: str) -> bool:
    topic = next(topic for topic in Topic if topic.link == read_on)
    return topic is Topic.FILES_WOULD_BE_REFUSED or "taken" in topic.value


def warnings(file: FileReport) -> list[Finding]:
    return [finding for finding in file.findings if finding.severity is Severity.WARNING]


def test_a_release_is_uploaded_and_confirmed(job: Job) -> None:
    report = job.publish()
    assert report.result == "done", job.printed
    assert statuses(report) == {"uploaded"}
    assert job.index.files == bytes_of(job.folder)
    assert sorted(job.index.sent) == sorted(BOTH), "each is sent once"
    # Seen on its page, with the right digest.
    assert all(file.served_after is not None for file in report.files.values()), job.printed
    assert PASSWORD not in job.printed


def test_pages_get_the_credentials_only_where_there_is_none_without(job: Job) -> None:
    job.publish()
    pages = [seen.user for seen in job.index.seen if seen.method == "GET"]
    assert pages[0] is None
    # From then on the project has a page.
    assert pages[-1] == (USER if job.index.software.asks_for_credentials else None)


def test_a_second_run_finds_the_files_and_sends_none(job: Job) -> None:
    job.publish()
    job.index.seen.clear()
    report = job.publish()
    assert report.result == "done", job.printed
    assert statuses(report) == {"already-there"}
    assert not job.index.sent


def test_what_is_missing_is_all_that_is_sent(job: Job) -> None:
    job.index.hold(job.folder / SDIST)
    report = job.publish()
    assert report.result == "done", job.printed
    assert job.index.sent == [WHEEL]
    assert report.files[SDIST].status == "already-there"


def test_other_bytes_under_a_name_stop_the_release(job: Job) -> None:
    with_another_wheel(job)
    before = dict(job.index.files)
    report = job.publish()
    assert report.result == "refused"
    found = only_problem(report)
    assert WHEEL in f"{found.file}{found.title}{found.detail}"
    assert is_about_a_taken_name(found.read_on)
    (finding,) = report.files[WHEEL].findings
    assert finding.rule == "filename-taken"
    assert job.index.sha256(WHEEL) in finding.message
    assert job.index.files == before, "nothing else of the release is public"
    assert not job.index.sent


def test_other_bytes_are_skipped_on_request(job: Job) -> None:
    with_another_wheel(job)
    served = job.index.sha256(WHEEL)
    report = job.publish(skip_existing="true")
    assert report.result == "done", job.printed
    (warning,) = warnings(report.files[WHEEL])
    assert served in warning.message
    assert job.index.sha256(WHEEL) == served
    assert job.index.sent == [SDIST]
    assert report.files[SDIST].status == "uploaded"


def test_a_wrong_password_is_called_that(job: Job) -> None:
    report = job.publish(password="wrong-one")
    assert report.result in {"refused", "failed"}
    told = problem(report)
    assert re.search("40[13]", told), told
    assert re.search("password|credentials", only_problem(report).remedy), told
    assert not job.index.files
    assert len(job.index.sent) <= 1, "not tried again, nor with the next file"
    assert "wrong-one" not in job.printed


@pytest.mark.parametrize("skip_existing", ["false", "true"])
def test_missing_rights_are_no_name_that_is_taken(job: Job, skip_existing: str) -> None:
    report = job.publish(user=READER, password=READERS_PASSWORD, skip_existing=skip_existing)
    assert report.result == "refused", job.printed
    found = only_problem(report)
    assert not is_about_a_taken_name(found.read_on)
    assert job.index.software.no_rights.status.split()[0] in found.detail
    assert not job.index.files
    assert len(job.index.sent) == 1, "not tried again, nor with the next file"


def test_a_lost_answer_is_made_good_by_the_page(job: Job) -> None:
    job.index.software = replace(job.index.software, listed_after=0)
    job.index.lost = 1
    report = job.publish()
    assert report.result == "done", job.printed
    assert job.index.files == bytes_of(job.folder)
    assert statuses(report) <= {"uploaded", "already-there"}
    assert sorted(job.index.sent) == sorted(BOTH), "the page is asked before it is sent again"


@pytest.mark.parametrize("software", [PULP], ids=lambda software: software.name)
def test_a_lost_answer_of_an_index_that_lists_late_needs_one_more_run_at_most(job: Job) -> None:
    job.index.lost = 1
    first, second = job.publish(), job.publish()
    assert second.result == "done", (first.problems, job.printed)
    assert job.index.files == bytes_of(job.folder)


# Where credentials are for uploads only, what an upload is answered is all there is to go by.


@pytest.fixture
def blind(job: Job) -> Job:
    job.index.hides_pages = True
    return job


def test_without_a_page_the_release_is_uploaded_and_not_confirmed(blind: Job) -> None:
    report = blind.publish()
    assert report.result == "done", blind.printed
    assert blind.index.files == bytes_of(blind.folder)
    assert sorted(blind.index.sent) == sorted(BOTH), "nothing is sent twice to find out more"


def test_without_a_page_a_taken_name_is_known_by_the_answer(blind: Job) -> None:
    with_another_wheel(blind)
    before = blind.index.files[WHEEL]
    report = blind.publish()
    assert report.result == "refused", blind.printed
    found = only_problem(report)
    assert found.file == WHEEL
    assert is_about_a_taken_name(found.read_on)
    assert blind.index.sent.count(WHEEL) == 1
    assert blind.index.files[WHEEL] == before


@pytest.mark.sample(3)
def test_without_a_page_a_taken_name_is_skipped_on_request(blind: Job) -> None:
    with_another_wheel(blind)
    report = blind.publish(skip_existing="true")
    assert report.result == "done", blind.printed
    assert warnings(report.files[WHEEL])
    assert SDIST in blind.index.files
    assert report.files[SDIST].status == "uploaded"


# What is not one software's own.


@pytest.mark.parametrize("software", [GITLAB, PYPISERVER], ids=lambda software: software.name)
def test_a_page_that_another_host_has_is_not_this_index_s(software: Software, dist: Path) -> None:
    """Both forward requests for what they do not have to PyPI, where the name may exist."""
    other = OtherIndex(replace(NEXUS, page="/simple/$project/"))
    for path in dist.iterdir():
        other.hold(path)
    with job_for(other, dist) as there, job_for(OtherIndex(software), dist) as job:
        job.index.forwards_to = f"{there.root}/simple/"
        report = job.publish()
    assert report.result == "done", job.printed
    assert statuses(report) == {"uploaded"}
    assert job.index.files == bytes_of(dist)
    assert {seen.user for seen in other.seen} <= {None}, "credentials are for one host"


def test_other_bytes_that_are_served_afterwards_are_an_alarm(job: Job) -> None:
    job.index.spoils = True
    report = job.publish()
    assert report.result == "failed", job.printed
    assert only_problem(report).read_on == Topic.OTHER_BYTES_SERVED.link


FRONT_PAGE = Reply("200 OK", "<!DOCTYPE html><title>devpi</title><h1>Welcome to devpi</h1>")


@pytest.mark.sample(1)
@pytest.mark.parametrize("software", [DEVPI, ARTIFACTORY, GITEA], ids=lambda each: each.name)
def test_a_success_that_stored_nothing_is_none(software: Software, dist: Path) -> None:
    """Such as a POST to the front page of devpi, which takes it and stores nothing."""
    with job_for(OtherIndex(software), dist) as job:
        job.index.instead.extend([FRONT_PAGE] * 6)
        report = job.publish()
    assert report.result == "failed", job.printed
    assert only_problem(report).read_on == Topic.ARRIVAL_DOUBTFUL.link
    assert "may not have been" in problem(report)
    assert not job.index.files
    assert len(job.index.sent) == len(set(job.index.sent)), "not sent twice to find out more"


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
@pytest.mark.parametrize("hides_pages", [False, True])
def test_every_success_with_little_to_say_is_one(
    dist: Path, status: str, *, hides_pages: bool
) -> None:
    software = replace(GITEA, took=Reply(status, kind="text/plain"))
    with job_for(OtherIndex(software, hides_pages=hides_pages), dist) as job:
        report = job.publish()
    assert report.result == "done", job.printed
    assert statuses(report) == {"uploaded"}
    assert sorted(job.index.sent) == sorted(BOTH)


# Anything behind nginx, or a firewall for applications, or a portal.

TOO_LARGE = Reply(
    "413 Request Entity Too Large",
    "<html><head><title>413 Request Entity Too Large</title></head><body><center>"
    "<h1>413 Request Entity Too Large</h1></center><hr><center>nginx</center></body></html>",
)
BLOCKED = Reply(
    "403 Forbidden",
    "<html><head><title>Attention Required!</title></head><body><h1>Sorry, you have been "
    "blocked</h1></body></html>",
)
LOGIN = Reply("302 Found", headers={"Location": "https://login.example.com/?next=/upload"})
AN_HOUR = Reply(
    "503 Service Unavailable",
    "<html><head><title>503</title></head><body>Maintenance</body></html>",
    headers={"Retry-After": "3600"},
)


@pytest.fixture
def behind(dist: Path) -> Iterator[Job]:
    with job_for(OtherIndex(NEXUS), dist) as job:
        yield job


@pytest.mark.parametrize(
    ("reply", "result", "words"),
    [
        (TOO_LARGE, "refused", ["413", "limit", "in front"]),
        (BLOCKED, "refused", ["403", "blocked"]),
        (LOGIN, "refused|failed", ["login.example.com"]),
        (AN_HOUR, "failed", ["503", "1 hour|an hour|60 min|3,?600|1 h"]),
    ],
    ids=["413 of nginx", "403 of a firewall", "302 to a login", "503 for an hour"],
)
@pytest.mark.parametrize("skip_existing", ["false", "true"])
def test_what_stands_in_front_of_an_index(
    behind: Job, reply: Reply, result: str, words: list[str], skip_existing: str
) -> None:
    behind.index.instead.extend([reply] * 50)
    report = behind.publish(skip_existing=skip_existing)
    assert re.fullmatch(result, report.result), behind.printed
    told = problem(report)
    for each in words:
        assert re.search(each, told), told
    assert not is_about_a_taken_name(only_problem(report).read_on)
    assert "may not have been" not in told, "nothing of this was taken"
    assert not behind.index.files
    assert len(set(behind.index.sent)) == 1, "no other file is started"


def test_what_an_hour_s_wait_stopped_goes_on_with_the_next_run(behind: Job) -> None:
    behind.index.instead.append(AN_HOUR)
    assert behind.publish().result == "failed", behind.printed
    assert len(behind.index.sent) == 1, "an hour is longer than anybody waits"
    report = behind.publish()
    assert report.result == "done", behind.printed
    assert behind.index.files == bytes_of(behind.folder)
