"""Give hostile input to everything that reads some, until the time is over: `make fuzz`.

Each case is made from a seed of its own, so that it can be made again: what fails is printed
with the line that repeats it, and its file is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from fuzz.targets import TARGETS, Failure, Ground

_MEGABYTES = 150
"""What a case may add to the memory of this process, in which it is made, too."""

_HANGS = 60.0
"""Seconds after which a case that holds the interpreter is shown with its stack, and ends all.

Which one it was stands in the file `current` then.
"""


def main() -> int:
    """Run. Returns 0: everything held, 1: something did not."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="of each target, at most")
    options = parser.parse_args()
    names = options.target or sorted(TARGETS)
    kept = Path(tempfile.mkdtemp(prefix="attested-publish-fuzz-"))
    print(f"seed {options.seed}, {options.seconds:.0f} s, {kept}: {' '.join(names)}", flush=True)
    ran: Counter[str] = Counter()
    spent = dict.fromkeys(names, 0.0)
    slowest = dict.fromkeys(names, (0.0, 0))
    failed = 0
    peak = 0.0
    until = time.monotonic() + options.seconds
    most = options.cases if options.case is None else 1
    with Ground.open() as ground:
        while time.monotonic() < until and min(ran[name] for name in names) < most:
            # All get the same time: a case of some takes a thousand times that of others.
            name = min((each for each in names if ran[each] < most), key=lambda each: spent[each])
            number = ran[name] + (options.case or 0)
            (kept / "current").write_text(f"{name} {number}\n", encoding="utf-8")
            before = _forget_peak()
            started = time.monotonic()
            why = _hold(name, options.seed, number, ground)
            seconds = time.monotonic() - started
            megabytes = _megabytes("VmHWM")
            peak = max(peak, megabytes)
            if not why and megabytes - before > _MEGABYTES:
                why = f"this process had {megabytes:.0f} MB, and {before:.0f} MB before"
            ran[name] += 1
            spent[name] += seconds
            slowest[name] = max(slowest[name], (seconds, number))
            if why:
                failed += 1
                saved = kept / f"{name}-{options.seed}-{number}"
                shutil.copytree(ground.folder, saved, dirs_exist_ok=True)
                again = f"make fuzz SEED={options.seed} TARGET={name} CASE={number}"
                print(f"FAILED {name}: {why}\n  {again}\n  {saved}", flush=True)
    for name in names:
        seconds, case = slowest[name]
        print(f"{name:12} {ran[name]:6} cases, slowest {seconds:.1f} s (case {case})")
    print(f"{failed} failed; this process had {peak:.0f} MB at most")
    if not failed:
        shutil.rmtree(kept)
    return 1 if failed else 0


def _hold(name: str, seed: str, number: int, ground: Ground) -> str:
    """Run one case; say in what it failed."""
    ground.clear()
    chance = random.Random(f"{seed}:{name}:{number}")
    faulthandler.dump_traceback_later(_HANGS, exit=True)
    try:
        TARGETS[name](chance, ground)
    except Failure as failure:
        return str(failure)
    except Exception:  # noqa: BLE001 - what the fuzzer is there to find
        return traceback.format_exc()
    finally:
        faulthandler.cancel_dump_traceback_later()
    return ""


def _forget_peak() -> float:
    """Have Linux forget the peak of memory so far (proc(5), clear_refs); return the present use."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _megabytes("VmRSS")


def _megabytes(what: str) -> float:
    """Return what Linux says of this process's memory; 0 elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    sys.exit(main())
