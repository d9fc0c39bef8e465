"""Publish releases repeatedly while services fail: `soak.py [--count N] [--seed N]`.

Each release is attempted under random faults and killed at random moments, and finally runs
undisturbed. After each attempt the report is compared with the index, and must not differ; after
the last one the release has to be complete. `--case N` repeats a single one, with its output. The
last line is a summary; the exit status is 1 if anything differed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chance import LATENCY, Attempt, Case, case_of
from material import make_release
from truth import Served, differences, index_faults, served_by
from ways import PROGRAM

from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World

STUCK_SECONDS = 900.0
"""An attempt that is not killed has to end by itself within this time."""

_SETTLING_SECONDS = 1.5
"""Longer than any fault or delay can postpone the processing of a dead client's request."""

_EVERY = 10


@dataclass
class Ending:
    """How an attempt ended; `report` is `None` if it left none. `status` is as in `Popen`."""

    status: int
    report: dict[str, Any] | None
    printed: str
    was_killed: bool = False
    was_stuck: bool = False


@dataclass
class Outcome:
    """The result of a case: descriptions of differences, and how its attempts ended."""

    case: Case
    differences: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Run the cases; return the exit status."""
    parser = argparse.ArgumentParser(description="Publish releases repeatedly while services fail.")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="releases")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), metavar="N")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="releases at a time")
    parser.add_argument("--case", type=int, metavar="N", help="only this case of the seed")
    options = parser.parse_args()
    begin = time.monotonic()
    usual = _usual_seconds()
    print(f"Seed {options.seed}; an undisturbed run takes {usual:.1f} s.", flush=True)
    numbers = range(options.count) if options.case is None else [options.case]
    differing = 0
    endings: Counter[str] = Counter()
    with ThreadPoolExecutor(options.jobs) as pool:
        cases = (case_of(options.seed, number) for number in numbers)
        talks = options.case is not None
        futures = [pool.submit(soak, case, usual, talks=talks) for case in cases]
        for done, future in enumerate(as_completed(futures), 1):
            outcome = future.result()
            endings += outcome.endings
            if outcome.differences:
                differing += 1
                _tell(outcome)
            if done % _EVERY == 0:
                spent = time.monotonic() - begin
                print(f"{done} releases, {differing} differ, {spent:.0f} s", flush=True)
    told = ", ".join(f"{number} {ending}" for ending, number in sorted(endings.items()))
    print(
        f"{len(numbers)} releases in {endings.total()} runs ({told}), seed {options.seed}: "
        f"{differing} differ from their reports."
    )
    return 1 if differing else 0


def soak(case: Case, usual: float, *, talks: bool = False) -> Outcome:
    """Attempt a release as described by its case, and compare after each attempt."""
    outcome = Outcome(case)
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        World(
            claims=job_claims({}, {}),
            registry=Registry.open(),
            latency=LATENCY,
            token_lifetime=case.token_lifetime,
            identity_lifetime=case.identity_lifetime,
        ) as world,
    ):
        dist = Path(folder, "dist")
        release = {path.name: _sha256(path) for path in make_release(dist, "sample", case.files)}
        world.export(Path(folder))
        before: dict[str, Served] = {}
        for number, attempt in enumerate(case.attempts, 1):
            issued = len(world.index.issued_tokens)
            for fault in attempt.faults:
                world.faults.plan(fault)
            ending = _run(Path(folder), world, attempt, usual)
            if ending.was_killed:
                time.sleep(_SETTLING_SECONDS)
            world.faults.clear()
            after = served_by(world.index_url, "sample")
            found = [
                *_compare(attempt, ending, release, before, after),
                *_tokens_left(attempt, ending, world, issued),
            ]
            outcome.endings[_name(ending)] += 1
            outcome.differences += [f"attempt {number} ({attempt}): {each}" for each in found]
            if found or talks:
                print(f"\n--case {case.number}, attempt {number} ({attempt}):\n{ending.printed}")
            before = after
        if before.keys() != release.keys():
            outcome.differences.append(f"{len(before)} of {len(release)} files are served at last")
    return outcome


def _compare(
    attempt: Attempt,
    ending: Ending,
    release: Mapping[str, str],
    before: Mapping[str, Served],
    after: Mapping[str, Served],
) -> Iterator[str]:
    if ending.was_stuck:
        yield f"it did not end within {STUCK_SECONDS:.0f} s"
    if "Traceback" in ending.printed:
        yield "a traceback was shown"
    if ending.was_killed and ending.report is None:
        yield from index_faults(release, before, after)
        return
    yield from differences(ending.report, ending.status, release, before, after)
    if not ending.was_killed and ending.status not in {0, 1}:
        yield f"it ended with status {ending.status}"
    if ending.status != 0 and not attempt.faults and attempt.kill is None:
        yield "it failed although nothing disturbed it"


def _tokens_left(attempt: Attempt, ending: Ending, world: World, before: int) -> Iterator[str]:
    """Report how many API tokens of an attempt are still valid, if it could have revoked them."""
    in_the_way = any(fault.endpoint in {"mint", "burn"} for fault in attempt.faults)
    kill = attempt.kill if ending.was_killed else None
    if in_the_way or (kill is not None and kill.is_outright):
        return
    tokens = world.index.issued_tokens[before:]
    left = sum(not token.is_revoked for token in tokens)
    if left:
        yield f"{left} of {len(tokens)} API tokens were not revoked"


def _run(folder: Path, world: World, attempt: Attempt, usual: float) -> Ending:
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [
        *PROGRAM,
        "publish",
        f"--repository-url={world.upload_url}",
        f"--sigstore-trust-config={folder / 'trust_config.json'}",
        f"--report={report}",
        "--print-hash=false",
        str(folder / "dist"),
    ]
    environment = {**os.environ, **world.environment, "NO_PROXY": "127.0.0.1"}
    was_killed = was_stuck = False
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            command, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
        if attempt.kill is not None:
            try:
                process.wait(attempt.kill.moment * usual)
            except subprocess.TimeoutExpired:
                was_killed = True
                process.send_signal(attempt.kill.signal)
        try:
            process.wait(STUCK_SECONDS)
        except subprocess.TimeoutExpired:
            was_stuck = True
            process.kill()
            process.wait()
        printed.seek(0)
        output = printed.read().decode(errors="replace")
    told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    return Ending(process.returncode, told, output, was_killed, was_stuck)


def _usual_seconds() -> float:
    """Measure an undisturbed run, to choose the moments of kills."""
    quiet = Case(0, 3, 900.0, 300.0, (Attempt(),))
    begin = time.monotonic()
    outcome = soak(quiet, 0.0)
    if outcome.differences:
        _tell(outcome)
        sys.exit("Even an undisturbed release differs from its report.")
    return time.monotonic() - begin


def _name(ending: Ending) -> str:
    if ending.was_killed:
        return "killed"
    return "done" if ending.status == 0 else "failed"


def _tell(outcome: Outcome) -> None:
    print(f"\n--case {outcome.case.number}: {outcome.case}")
    for difference in outcome.differences:
        print(f"  {difference}", flush=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
