"""How long `verify --lock` takes for a lock of 300 packages with 1,000 files.

`locks.py [--runs N]`. The embedded index answers each request after `LATENCY` seconds, and every
package has a release before the locked one, which it is compared with. Each run is made twice: the
first time nothing is known of any file (cold), the second time there is a cache of what was
verified (warm). The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from measure import Cost, measured, medians, typical
from ways import PROGRAM, services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ways import Services

GOALS: Final = {"cold_seconds": 11.0, "warm_seconds": 3.0, "peak_mb": 150.0}

PACKAGES: Final = 300
FILES: Final = 1000
LATENCY: Final = 0.15

_REPORT: Final = "report.json"

_BEFORE: Final = "1.0"
_LOCKED: Final = "1.1"
_SIMPLE_JSON: Final = "application/vnd.pypi.simple.v1+json"


class WrongVerdict(Exception):
    """The command succeeded, but not because every file was verified."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long a large lock takes to verify.")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("at least one run is needed")
    if not hasattr(os, "wait4"):
        sys.exit("locks.py needs os.wait4, which this system does not have.")
    found = verify_lock(options.runs)
    print(medians(options.runs))
    print(table(found))
    print(json.dumps(found))


def verify_lock(runs: int, packages: int = PACKAGES, files: int = FILES) -> dict[str, float]:
    """Verify a lock of this many packages, `runs` times cold and warm; return the medians.

    `peak_mb` (10^6 bytes) is the memory of all processes together in a cold run of its own: the
    largest process alone, where that cannot be measured. Raises `ProgramFailed`, `WrongVerdict`.
    """
    with tempfile.TemporaryDirectory(prefix="bench-lock-") as name:
        folder = Path(name)
        history = folder / "history.json"
        history.write_text(json.dumps(history_of(packages, files)), encoding="utf-8")
        with services({"index": LATENCY}, "--history", str(history)) as world:
            lock = folder / "pylock.toml"
            lock.write_text(_lock(packages, files, world), encoding="utf-8")
            cold: list[Cost] = []
            warm: list[Cost] = []
            for run in range(runs):
                cache = folder / f"cache-{run}"
                for costs in (cold, warm):
                    costs.append(_verified(lock, cache, world))
                    hold_against_lock(folder / _REPORT, packages, files)
            peak = _verified(lock, folder / "cache-of-peak", world, watches_tree=True)
            hold_against_lock(folder / _REPORT, packages, files)
    return {
        "packages": packages,
        "files": files,
        "cold_seconds": round(typical(cold).seconds, 2),
        "warm_seconds": round(typical(warm).seconds, 2),
        "cold_cpu_seconds": round(typical(cold).cpu_seconds, 2),
        "peak_mb": round(peak.tree_peak_mb or peak.peak_mb, 1),
    }


def table(found: Mapping[str, float]) -> str:
    """Return the figures and the goals as text."""
    lines = [f"{found['packages']} packages, {found['files']} files, {LATENCY} s for each request"]
    for name, figure in found.items():
        goal = f"   (goal {GOALS[name]:g})" if name in GOALS else ""
        lines.append(f"{name:<18}{figure:>8}{goal}")
    return "\n".join(lines)


def history_of(packages: int, files: int) -> dict[str, Any]:
    """Return a history of two releases of each package, by a publisher for each."""
    releases = []
    for number, names in enumerate(_files(packages, files)):
        publisher = {"repository": f"octo-org/{_project(number)}", "environment": "pypi"}
        releases += [
            {
                "project": _project(number),
                "version": version,
                "publisher": publisher,
                "uploaded": uploaded,
                "files": [name.format(version=version) for name in names],
            }
            for version, uploaded in (
                (_BEFORE, "2026-01-01T12:00:00Z"),
                (_LOCKED, "2026-02-01T12:00:00Z"),
            )
        ]
    return {"releases": releases}


def _project(number: int) -> str:
    return f"package{number}"


def _files(packages: int, files: int) -> list[list[str]]:
    """Return the names of the files of each package, without the version: an sdist and wheels."""
    names = []
    for number in range(packages):
        stem = f"{_project(number)}-{{version}}"
        wheels = files * (number + 1) // packages - files * number // packages - 1
        names.append(
            [
                f"{stem}.tar.gz",
                *(f"{stem}-cp3{10 + each}-none-any.whl" for each in range(wheels)),
            ]
        )
    return names


def _lock(packages: int, files: int, world: Services) -> str:
    """Return a pylock.toml of the newest release of each package."""
    with ThreadPoolExecutor(32) as threads:
        hashes = threads.map(lambda number: _hashes(number, world), range(packages))
        entries = zip(_files(packages, files), hashes, strict=True)
        parts = [_entry(number, *entry) for number, entry in enumerate(entries)]
    return 'lock-version = "1.0"\ncreated-by = "benchmarks"\n\n' + "\n".join(parts)


def _hashes(number: int, world: Services) -> dict[str, str]:
    request = urllib.request.Request(
        f"{world.index_url}{_project(number)}/", headers={"Accept": _SIMPLE_JSON}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return {file["filename"]: file["hashes"]["sha256"] for file in json.load(answer)["files"]}


def _entry(number: int, names: Sequence[str], hashes: Mapping[str, str]) -> str:
    listed = [
        f'{{ name = "{name}", url = "https://files.example/{name}", '
        f'hashes = {{ sha256 = "{hashes[name]}" }} }}'
        for name in (each.format(version=_LOCKED) for each in names)
    ]
    sdist, *wheels = listed
    return (
        f'[[packages]]\nname = "{_project(number)}"\nversion = "{_LOCKED}"\n'
        f"sdist = {sdist}\nwheels = [{', '.join(wheels)}]\n"
    )


def _verified(lock: Path, cache: Path, world: Services, *, watches_tree: bool = False) -> Cost:
    cost, _ = measured(
        [
            *(*PROGRAM, "verify", "--lock", str(lock), "--index-url", world.index_url),
            *("--sigstore-trust-config", str(world.trust_config)),
            *("--report", str(lock.with_name(_REPORT))),
        ],
        {**os.environ, "NO_PROXY": "127.0.0.1", "XDG_CACHE_HOME": str(cache), "HOME": str(cache)},
        watches_tree=watches_tree,
    )
    return cost


def hold_against_lock(report: Path, packages: int, files: int) -> None:
    """Raise `WrongVerdict` unless every file was verified, and nothing found; remove the report.

    The exit status does not say that: files without attestations are no error.
    """
    told = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    attested = sum(each["attested"] for each in told["packages"])
    if (len(told["packages"]), attested) != (packages, files):
        raise WrongVerdict(f"{attested} attested files of {len(told['packages'])} packages.")
    found = [each["message"] for package in told["packages"] for each in package["findings"]]
    if found or told["problems"]:
        raise WrongVerdict(f"{(*found, *told['problems'])[0]}")


if __name__ == "__main__":
    main()
