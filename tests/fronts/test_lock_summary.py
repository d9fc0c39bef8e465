"""The summary of locks: what has to be looked at is seen, however much else there is."""

from __future__ import annotations

from attested_publish.consumer.identities import Identity
from attested_publish.consumer.lock_findings import Change, LockReport, PackageChange
from attested_publish.fronts.lock_summary import lock_summary
from attested_publish.report import Report, Result

OLD = Identity.of({"kind": "GitHub", "repository": "octo-org/sample", "workflow": "release.yml"})
NEW = Identity.of({"kind": "GitHub", "repository": "evil-org/sample", "workflow": "release.yml"})


def summary_of(changes: list[PackageChange], limit: int = 1 << 20) -> str:
    locks = LockReport(changes=changes, compared_with="in the base branch")
    return lock_summary(locks, Report(mode="verify", index="", result=Result.DONE), limit)


def newer(count: int) -> list[PackageChange]:
    return [
        PackageChange(f"newer-{number}", Change.SAME_PUBLISHER, "1.0", "1.1", (OLD,), (OLD,))
        for number in range(count)
    ]


MOVED = PackageChange("moved", Change.PUBLISHER_CHANGED, "1.0", "2.0", (OLD,), (NEW,))


def test_nobody_searches_a_long_table_for_what_matters() -> None:
    text = summary_of([*newer(200), MOVED])
    seen, _, folded = text.partition("<details>")
    assert "**moved**" in seen
    assert "**newer-" not in seen
    assert folded.count("**newer-") == 200
    assert "and 200 more packages: same publisher" in folded
    assert folded.count("</details>") == 1


def test_a_short_table_is_whole() -> None:
    text = summary_of([*newer(3), MOVED])
    assert "<details>" not in text
    assert text.index("**moved**") < text.index("**newer-0**")


def test_a_publisher_that_stays_is_named_once() -> None:
    (row,) = (line for line in summary_of(newer(1)).splitlines() if "newer-0" in line)
    assert row.count("[GitHub octo-org/sample ") == 1


def test_names_of_others_are_only_text() -> None:
    name = "a|b<img src=x>**c**"
    change = PackageChange(name, Change.ADDED, None, "1|0", (), (OLD,))
    (row,) = (line for line in summary_of([change]).splitlines() if "added" in line and "|" in line)
    assert "<img" not in row.replace("\\<", "")
    assert row.replace("\\|", "").count("|") == 4


def test_it_fits() -> None:
    text = summary_of([*newer(20_000), MOVED], limit=100_000)
    assert len(text.encode()) <= 100_000
    assert "**moved**" in text
    assert "more lines; see the JSON report" in text
