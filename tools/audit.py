"""Look up every package of every lock in OSV, the database of known vulnerabilities.

pip-audit asks, from an environment of its own. It alone would look up only the packages that this
machine installs, and pass over those that it cannot look up: here, the packages of all platforms
are looked up, and one that could not be is a failure. `requirements/audit.toml` lists the findings
that are accepted, each with a reason and a last day.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = ROOT / "requirements"
ACCEPTED: Final = LOCKS / "audit.toml"

_PIP_AUDIT: Final = ROOT / ".venv" / "audit" / ("Scripts" if sys.platform == "win32" else "bin")
_SECONDS: Final = 600
_PIN: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


class AuditError(Exception):
    """The audit could not be done: nothing is known about the packages."""


@dataclass(frozen=True, order=True)
class Pin:
    """One version of a package, as a lock names it."""

    name: str
    version: str


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a locked package."""

    pin: Pin
    id: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]

    @property
    def names(self) -> set[str]:
        """All identifiers of the vulnerability."""
        return {self.id, *self.aliases}


@dataclass(frozen=True)
class Accepted:
    """A finding that is known, and no danger here."""

    id: str
    package: str
    reason: str
    until: dt.date

    def covers(self, finding: Finding, today: dt.date) -> bool:
        """Whether it accepts this finding, today."""
        return self.id in finding.names and self.package == finding.pin.name and today <= self.until


def read_accepted(text: str) -> list[Accepted]:
    """Read what `audit.toml` accepts.

    Raises `ValueError` for an entry without id, package, reason or last day.
    """
    entries = tomllib.loads(text).get("accepted", [])
    found = []
    for number, entry in enumerate(entries, start=1):
        texts = {name: str(entry.get(name, "")).strip() for name in ("id", "package", "reason")}
        missing = [name for name, value in texts.items() if not value]
        until = entry.get("until")
        # A date with a time is a date for Python, and cannot be compared with one.
        if not isinstance(until, dt.date) or isinstance(until, dt.datetime):
            missing.append("until (a date)")
        unknown = set(entry) - {"id", "package", "reason", "until"}
        if missing or unknown:
            fault = ", ".join([*(f"no {name}" for name in missing), *sorted(unknown)])
            raise ValueError(f"audit.toml: entry {number} has {fault}")
        found.append(Accepted(**texts, until=until))
    return found


def pins(locks: Path = LOCKS) -> dict[Pin, list[str]]:
    """Return every pin, whatever platform it is for, with the locks that have it."""
    found: dict[Pin, list[str]] = defaultdict(list)
    for lock in sorted(locks.glob("*.txt")):
        for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
            found[Pin(name, version)].append(lock.name)
    return dict(sorted(found.items()))


def _in_files(wanted: Iterable[Pin], folder: Path) -> list[Path]:
    """Write the pins, without hashes and markers, to files that name no package twice."""
    files: list[dict[str, Pin]] = []
    for pin in wanted:
        free = next((file for file in files if pin.name not in file), None)
        if free is None:
            files.append(free := {})
        free[pin.name] = pin
    paths = []
    for number, file in enumerate(files):
        path = folder / f"{number}.txt"
        path.write_text(
            "".join(f"{each.name}=={each.version}\n" for each in file.values()), "utf-8"
        )
        paths.append(path)
    return paths


def look_up(wanted: Sequence[Pin], options: Sequence[str] = ()) -> list[Finding]:
    """Have pip-audit look the packages up.

    Raises `AuditError` if it cannot, or if its answer leaves out one of them.
    """
    findings: list[Finding] = []
    answered: set[Pin] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in _in_files(wanted, folder):
            report = path.with_suffix(".json")
            _ask(path, report, folder / "cache", options)
            for pin, vulnerabilities in _answers(json.loads(report.read_text(encoding="utf-8"))):
                answered.add(pin)
                findings += vulnerabilities
    unknown = sorted(set(wanted) - answered)
    if unknown:
        names = ", ".join(f"{pin.name} {pin.version}" for pin in unknown)
        raise AuditError(f"these packages could not be looked up: {names}")
    return findings


def _ask(path: Path, report: Path, cache: Path, options: Sequence[str]) -> None:
    command = [
        *(str(_PIP_AUDIT / "pip-audit"), "--vulnerability-service", "osv"),
        # The locks are complete. pip would only resolve again, and download what it resolves.
        *("--no-deps", "--disable-pip", "--requirement", str(path)),
        *("--progress-spinner", "off", "--cache-dir", str(cache)),
        *("--format", "json", "--aliases", "on", "--output", str(report), *options),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise AuditError("pip-audit is not installed; `make audit` installs it") from None
    except subprocess.TimeoutExpired:
        raise AuditError(f"pip-audit took longer than {_SECONDS} seconds") from None
    # Exit status 1 means vulnerabilities as well as no answer: only the report tells them apart.
    if done.returncode not in (0, 1) or not report.exists():
        raise AuditError(f"pip-audit failed: {_cause(done.stderr) or done.returncode}")


def _cause(text: str) -> str:
    """Return pip-audit's error on one line: its own words, else the last line of a traceback."""
    _, mark, own = text.rpartition("ERROR:pip_audit._cli:")
    return " ".join((own if mark else text.strip().rpartition("\n")[2]).split())


def _answers(report: dict[str, Any]) -> Iterator[tuple[Pin, list[Finding]]]:
    for package in report["dependencies"]:
        if "version" in package:  # else it was skipped, with a reason
            pin = Pin(package["name"], package["version"])
            yield (
                pin,
                [
                    Finding(pin, each["id"], tuple(each["aliases"]), tuple(each["fix_versions"]))
                    for each in package["vulns"]
                ],
            )


def judge(
    findings: Sequence[Finding], accepted: Sequence[Accepted], today: dt.date
) -> Iterator[str]:
    """Yield what is wrong: each finding that is not accepted, each entry that accepts nothing."""
    for finding in findings:
        if not any(entry.covers(finding, today) for entry in accepted):
            fixed = f"fixed in {', '.join(finding.fixed_in)}" if finding.fixed_in else "not fixed"
            names = " ".join([finding.id, *sorted(finding.aliases)])
            yield f"{finding.pin.name} {finding.pin.version}: {names}, {fixed}"
    for entry in accepted:
        if not any(entry.covers(finding, today) for finding in findings):
            ended = f"; it ended on {entry.until}" if entry.until < today else ""
            yield f"audit.toml: {entry.id} of {entry.package} accepts nothing{ended}: delete it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found; return 1 if anything is wrong, or if the audit could not be done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--osv-url", help="the address to ask, instead of the public database's")
    parser.add_argument("--locks", type=Path, default=LOCKS, help="the folder with the locks")
    given = parser.parse_args(arguments)
    today = dt.datetime.now(tz=dt.UTC).date()
    where = pins(given.locks)
    try:
        accepted = read_accepted((given.locks / ACCEPTED.name).read_text(encoding="utf-8"))
        options = ["--osv-url", given.osv_url] if given.osv_url else []
        findings = look_up(list(where), options)
    except (AuditError, ValueError) as error:
        print(f"The locks were not audited: {error}", file=sys.stderr)
        return 1
    wrong = list(judge(findings, accepted, today))
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        return 1
    locks = sorted({lock for names in where.values() for lock in names})
    print(f"{len(where)} packages of {', '.join(locks)}: nothing that is not accepted.")
    for entry in accepted:
        print(f"{entry.package}: {entry.id} is accepted until {entry.until}: {entry.reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
