"""Write the lock that a release attaches: its wheel, with both extras, and all that it needs.

    python tools/release_lock.py DIST > attested-publish.txt

DIST is a folder with the wheel. The lock has the hash of the wheel itself, so whoever installs with
it installs this release and nothing else; a wheel could not carry its own hash.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def lock_of(wheel: Path, locks: list[str], extras: list[str]) -> str:
    """Return a lock of a wheel with its extras, and of what the texts of other locks have.

    Raises `ValueError` if these lock one package differently for the same environment.
    """
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    chosen = f"[{','.join(sorted(extras))}]" if extras else ""
    wanted = f"{name.replace('_', '-')}{chosen}=={version}"
    entries = {wanted: f"{wanted} \\\n    --hash=sha256:{digest}"}
    for entry in (each for text in locks for each in re.split(r"\n(?=\S)", text.strip())):
        requirement = entry.partition(" \\\n")[0]
        if entries.setdefault(requirement, entry) != entry:
            raise ValueError(f"{requirement} has different hashes in two locks.")
    pins: dict[str, str] = {}
    for requirement in entries:
        pin, _, marker = requirement.partition(" ; ")
        key = f"{re.split(r'[=[]', pin)[0]} ; {marker}"
        if pins.setdefault(key, pin) != pin:
            raise ValueError(f"{pin} is {pins[key]} in another lock.")
    return "\n".join(entries.values()) + "\n"


def main() -> None:
    """Print the lock of the wheel in a folder."""
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = list(project["optional-dependencies"])
    locks = [
        (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        for name in ("runtime", *extras)
    ]
    sys.stdout.write(lock_of(wheel, locks, extras))


if __name__ == "__main__":
    main()
