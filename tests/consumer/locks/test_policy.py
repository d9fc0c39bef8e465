"""`publishers.toml`: what is expected of publishers, and until when something else is accepted."""

from __future__ import annotations

from datetime import date

import pytest
from packaging.version import Version

from attested_publish.consumer.locks.bounded import read_policy
from attested_publish.consumer.locks.expectations import parse_policy
from attested_publish.consumer.locks.model import LockError

WHOLE = """\
# Who publishes what we install.
[project.aperture]
kind = "GitHub"
repository = "octo-org/aperture"
workflow = "release.yml"
environment = "pypi"
since = "1.1"

[project."Dark.Room"]
kind = "GitLab"
repository = "octo-org/dark-room"
workflow_filepath = ".gitlab-ci.yml"

[[project."Dark.Room".exceptions]]
rule = "provenance-lost"
reason = "Their job is being repaired: issue 7."
until = 2026-12-31

[[project."Dark.Room".exceptions]]
rule = "yanked"
reason = "We need that one."
until = "2026-11-01"

[project.emulsion]
kind = "Google"
email = "publisher@example.iam.gserviceaccount.com"
"""


def test_a_whole_policy():
    policy = parse_policy(WHOLE.encode(), "publishers.toml")
    assert list(policy.projects) == ["aperture", "dark-room", "emulsion"]
    aperture = policy.projects["aperture"]
    assert (aperture.since, aperture.line, aperture.exceptions) == (Version("1.1"), 2, ())
    assert dict(aperture.identity) == {
        "kind": "GitHub",
        "repository": "octo-org/aperture",
        "workflow": "release.yml",
        "environment": "pypi",
    }
    lost, yanked = policy.projects["dark-room"].exceptions
    assert (lost.rule, lost.until, lost.line) == ("provenance-lost", date(2026, 12, 31), 14)
    assert (yanked.rule, yanked.until, yanked.line) == ("yanked", date(2026, 11, 1), 19)
    assert lost.counts(date(2026, 12, 31))
    assert not lost.counts(date(2027, 1, 1))
    assert set(policy.projects["emulsion"].identity) == {"kind", "email"}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('until = 2999-01-01', "It lacks a reason."),
        ('reason = " "\nuntil = 2999-01-01', "It lacks a reason."),
        ('reason = "x"', "It lacks a date (until)."),
        ('reason = "x"\nuntil = ""', "It lacks a date (until)."),
        ("", "It lacks a reason and a date (until)."),
    ],
)  # fmt: skip
def test_an_exception_without_reason_or_date_does_not_count(lines: str, says: str):
    text = f'[[project.a.exceptions]]\nrule = "yanked"\n{lines}\n'
    (exception,) = parse_policy(text.encode(), "p.toml").projects["a"].exceptions
    assert exception.why_not == says
    assert not exception.counts(date(2026, 1, 1))


@pytest.mark.parametrize(
    "rule", ["hash-not-served", "version-not-served", "provenance-invalid", "index-unexpected"]
)
def test_from_some_rules_there_is_no_exception(rule: str):
    text = f'[[project.a.exceptions]]\nrule = "{rule}"\nreason = "x"\nuntil = 2999-01-01\n'
    (exception,) = parse_policy(text.encode(), "p.toml").projects["a"].exceptions
    assert exception.why_not == f"There is no exception from {rule}."
    assert not exception.counts(date(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("", "It is empty.", None),
        ("[project\n", "It is not valid TOML", 1),
        ("x = 1", "x is not known; there may be project.", None),
        ("project = 1", "project is a number, not a table.", None),
        ("project.a = 1", "project.a is a number, not a table.", 1),
        ("\n[project.a]\nrepo = 'x'", "project.a.repo is not known; there may be kind,", 2),
        ("[project.a]\nkind = 1", "project.a.kind is a number, not text.", 1),
        ("[project.a]\nkind = 'github'", "project.a.kind is none of CircleCI, GitHub,", 1),
        ("[project.a]\nworkflow = ''", "project.a.workflow is empty.", 1),
        ("[project.a]\nsince = 'x'", "project.a.since is not a version.", 1),
        ("[project.a]\nsince = 1.0", "project.a.since is a number, not text.", 1),
        ("[project.a]\nexceptions = 1", "project.a.exceptions is a number, not an array.", 1),
        ("[project.a]\nexceptions = [1]", "project.a.exceptions[0] is a number, not a table.", 1),
        ("[project.A_b]\n[project.a-b]", "project.a-b is the same project as a-b.", 2),
        ("[project.'a b']", "a b is not the name of a project.", 1),
        ("[[project.a.exceptions]]", "project.a.exceptions[0].rule is missing or empty.", 1),
        ("[[project.a.exceptions]]\nrule = 'x'", "exceptions[0].rule is none of provenance", 1),
        ("[[project.a.exceptions]]\nrule = 'yanked'\nuntil = 'soon'", "until is not a date", 1),
        ("[[project.a.exceptions]]\nrule = 'yanked'\nuntil = 2026-01-01T00:00:00", "not a date", 1),
        ("[[project.a.exceptions]]\nrule = 'yanked'\nuntil = 5", "not a date", 1),
        ("[[project.a.exceptions]]\nrule = 'yanked'\nby = 'x'", "exceptions[0].by is not known", 1),
    ],
)  # fmt: skip
def test_a_broken_policy(text: str, says: str, line: int | None):
    with pytest.raises(LockError) as caught:
        parse_policy(text.encode(), "publishers.toml")
    assert says in caught.value.detail
    assert caught.value.line == line


def test_a_policy_that_is_not_there(tmp_path):
    with pytest.raises(LockError) as caught:
        read_policy(tmp_path / "publishers.toml")
    assert caught.value.detail == "There is no such file."
