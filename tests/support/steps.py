"""Commands as steps of a job on GitHub, and what they need to verify a release."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from support.environment import without_a_job

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage


def step(
    page: Path, *arguments: str | Path, within: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a step of a job on GitHub."""
    job = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    return subprocess.run(
        [sys.executable, "-m", "attested_publish", *map(os.fspath, arguments)],
        env={**without_a_job(), **job, **more},
        cwd=within,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def verified(stage: Stage) -> list[str | Path]:
    """Publish, and return the options that verify what was published."""
    assert stage.run().result == "done", stage.printed
    config = stage.folder.parent / "trust.json"
    config.write_text(stage.world.trust_config)
    url = f"{stage.world.upload_url.removesuffix('legacy/')}simple/"
    return ["verify", "--index-url", url, "--sigstore-trust-config", config]
