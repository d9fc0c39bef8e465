"""pip, with this machine's index, proxy, certificates and time limits, and no other setting of it.

    python -I tools/locked_pip.py PIP_ARGUMENTS...

For the Makefile: `user`, `target`, `prefix` or `require-hashes`, in a variable or in a pip.conf,
would have pip install elsewhere, or refuse. Runs the pip of the Python that runs this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

# Started with -I, Python finds nothing beside this file.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import install

_ALSO_KEPT: Final = ("PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_KEYRING_PROVIDER")
"""What changes neither what is installed nor where; each download is compared with its hash."""


def main(arguments: list[str]) -> int:
    """Run pip; return its exit status."""
    pip = (sys.executable, "-I", "-m", "pip", "--disable-pip-version-check")
    environment = {
        name: value for name, value in os.environ.items() if name.upper() in install.VARIABLES
    }
    try:
        settings, said = install.settings_of_pip(pip, environment)
    except install.Failed as failed:
        print(f"Could not install: {failed}.", file=sys.stderr)
        return 1
    if settings is None:
        print(said, end="", file=sys.stderr)
        return 1
    kept = {name: os.environ[name] for name in _ALSO_KEPT if name in os.environ}
    return subprocess.run(
        [*pip, *arguments],
        env=environment | install.variables_of_pip(settings) | kept,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
