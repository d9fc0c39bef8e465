"""Publish with short deadlines, in a process of its own: how long, how much memory, what it said.

Started with one JSON argument: `folder`, `upload_url`, `trust_config` (a path), `seconds`,
`provider_seconds`, `mode`, and settings.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from attested_publish.fronts.running import carry_out
from attested_publish.identity import tokens as identity
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.outcome import report_of
from attested_publish.journey.targets import Targets
from attested_publish.net.stopping import leave
from attested_publish.settings import understand
from support.measuring import peak
from support.releases import deadlines, run_to


def main() -> None:
    """Run; the last line of standard output is JSON."""
    asked = json.loads(sys.argv[1])
    identity._PROVIDER_SECONDS = asked["provider_seconds"]
    settings = understand(
        {
            "packages-dir": asked["folder"],
            "repository-url": asked["upload_url"],
            **asked.get("settings", {}),
        }
    )
    targets = Targets(
        Index.at(settings.repository_url),
        Path(asked["trust_config"]).read_text(encoding="utf-8"),
        deadlines=deadlines(asked["seconds"], answer=asked["seconds"]),
    )
    mode = asked.get("mode", "publish")
    run = run_to(targets, settings, Console(file=sys.stdout, width=200), mode=mode)
    started = time.monotonic()
    do = getattr(publish, mode)
    result = carry_out(lambda: do(run), run)
    record = {
        "result": result,
        "problems": report_of(run).as_json()["problems"],
        "seconds": time.monotonic() - started,
        "peak": peak(),
    }
    print(f"\n{json.dumps(record)}")
    leave(0)


if __name__ == "__main__":
    main()
