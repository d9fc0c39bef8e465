"""What `make audit` concludes: which packages it asks for, and which findings it accepts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from audit import ACCEPTED, Accepted, Finding, Pin, judge, pins, read_accepted

from support.locks import read_lock
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TODAY = dt.date(2026, 11, 28)
FINDING = Finding(Pin("alpha", "1.0"), "PYSEC-1", ("CVE-1", "GHSA-1"), ("1.1",))
ENTRY = Accepted("CVE-1", "alpha", "Nothing here calls it.", TODAY)
WRITTEN = """\
[[accepted]]
id = "CVE-1"
package = "alpha"
reason = "Nothing here calls it."
until = 2026-11-28
"""


def test_every_package_of_every_lock_is_asked_for() -> None:
    found = pins()
    locks = {path.name for path in (ROOT / "requirements").glob("*.txt")}
    assert len(locks) >= 7
    assert {lock for names in found.values() for lock in names} == locks
    for lock in locks:
        # Those for other platforms, too.
        wanted = {Pin(each.name, each.version) for each in read_lock(lock.removesuffix(".txt"))}
        assert {pin for pin, names in found.items() if lock in names} == wanted


def test_two_versions_of_a_package_are_two_pins(tmp_path: Path) -> None:
    lines = "a==1 ; sys_platform == 'win32' \\\n    --hash=sha256:00\na==2 ; python_version < '3'\n"
    (tmp_path / "one.txt").write_text(lines)
    (tmp_path / "two.txt").write_text("a==2 \\\n    --hash=sha256:00\n")
    assert pins(tmp_path) == {Pin("a", "1"): ["one.txt"], Pin("a", "2"): ["one.txt", "two.txt"]}


def test_what_is_accepted_now_has_a_reason_and_a_day() -> None:
    read_accepted(ACCEPTED.read_text(encoding="utf-8"))


def test_an_entry_is_read() -> None:
    assert read_accepted(WRITTEN) == [ENTRY]
    assert read_accepted("# nothing\n") == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('reason = "Nothing here calls it."\n', "", "no reason"),
        ("Nothing here calls it.", "  ", "no reason"),
        ("until = 2026-11-28\n", "", "no until"),
        ("2026-11-28", '"2026-11-28"', "no until"),
        ("2026-11-28", "2026-11-28T00:00:00Z", "no until"),
        ('id = "CVE-1"\n', "", "no id"),
        ('package = "alpha"\n', "", "no package"),
        ("until", "Until", "no until.*, Until"),
    ],
)
def test_an_entry_that_explains_nothing_is_refused(before: str, after: str, fault: str) -> None:
    assert before in WRITTEN
    with pytest.raises(ValueError, match=f"entry 1 has {fault}"):
        read_accepted(WRITTEN.replace(before, after))


def test_a_finding_names_the_package_and_its_fix() -> None:
    (line,) = judge([FINDING], [], TODAY)
    assert line == "alpha 1.0: PYSEC-1 CVE-1 GHSA-1, fixed in 1.1"


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1", "GHSA-1"])
def test_a_finding_is_accepted_under_any_of_its_names_through_the_last_day(name: str) -> None:
    entry = Accepted(name, "alpha", "Nothing here calls it.", TODAY)
    assert list(judge([FINDING], [entry], TODAY)) == []
    found = list(judge([FINDING], [entry], TODAY + dt.timedelta(days=1)))
    assert len(found) == 2
    assert "ended on 2026-11-28" in found[1]


def test_an_entry_for_another_package_or_vulnerability_accepts_nothing() -> None:
    for entry in (
        Accepted("CVE-1", "beta", "Nothing here calls it.", TODAY),
        Accepted("CVE-2", "alpha", "Nothing here calls it.", TODAY),
    ):
        finding, useless = judge([FINDING], [entry], TODAY)
        assert finding.startswith("alpha 1.0")
        assert useless.endswith("accepts nothing: delete it")
