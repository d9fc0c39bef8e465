"""Install the locked packages into a separate virtual environment, for launch.sh.

    install.py VENV WHY_NOT

Exit status 0: it is ready. 3: a package has no wheel for this Python; the file WHY_NOT says so
in a part of a sentence, and another Python may work. 1: pip has printed why it failed.

Nothing in the job's environment or in pip's configuration changes what is installed: of both,
only index, proxy, certificate and timeout settings are used, and `.netrc` for an index that
requires a password. `requirement = FILE` in a pip.conf would add packages, `target` and `python`
would install them in another place.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
LOCK: Final = HERE / "requirements" / "runtime.txt"
NO_WHEEL: Final = 3

# The lock is complete, so there is nothing to resolve; modules are compiled only when they are
# used.
OPTIONS: Final = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")

SETTINGS: Final = (
    *("index-url", "pypi-url", "extra-index-url", "no-index", "find-links", "trusted-host"),
    *("proxy", "cert", "client-cert", "timeout", "default-timeout", "retries"),
)
"""The pip settings for the sources of packages, and for how they are reached."""

VARIABLES: Final = frozenset(
    [
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"),
        *("XDG_CACHE_HOME", "NETRC"),
        *("USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "ALLUSERSPROFILE"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"),
        # Read by `platform.machine()`, and so needed for the markers in the lock.
        *("PROCESSOR_ARCHITECTURE", "PROCESSOR_ARCHITEW6432"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    ]
)
"""The variables that pip gets, in any case; `PYTHON…` variables are excluded."""

_SETTING: Final = re.compile(r"(global|install)\.([a-z-]+)=('.*'|\".*\")")
_NOT_FOUND: Final = re.compile(r"No matching distribution found for ([\w.-]+)==([^\s;]+)")


def main(venv: Path, why_not: Path) -> int:
    """Create the environment `venv`; return the exit status."""
    environment = {name: value for name, value in os.environ.items() if name.upper() in VARIABLES}
    if _run(sys.executable, "-I", "-m", "venv", "--clear", venv, env=environment) != 0:
        return 1
    inner = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (inner, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color")
    settings = _settings(pip, environment)
    if settings is None:
        return 1
    environment |= settings
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "pip.log")
        install = (*pip, "--log", log, "install", "--quiet", "--progress-bar", "off", *OPTIONS)
        if _run(*install, "-r", LOCK, env=environment) != 0:
            misfit = _misfit(log.read_text(encoding="utf-8", errors="replace"))
            if misfit is None:
                return 1
            python = f"{platform.python_implementation()} {platform.python_version()}"
            why_not.write_text(
                f"{misfit} has no wheel for {python} on {sysconfig.get_platform()}",
                encoding="utf-8",
                newline="",
            )
            return NO_WHEEL
    if _run(*pip, "check", env=environment) != 0:
        return 1
    # The package itself is used from its own folder.
    purelib = subprocess.run(
        [inner, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout.strip()
    if not purelib:
        return 1
    # Up to 3.12, Python reads such a file in the locale's encoding.
    encoding = "utf-8" if sys.version_info >= (3, 13) else "locale"
    Path(purelib, "attested_publish.pth").write_text(f"{HERE / 'src'}\n", encoding=encoding)
    return 0


def _run(*command: str | Path, env: Mapping[str, str]) -> int:
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, check=False).returncode


def _settings(pip: tuple[str | Path, ...], environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return pip's settings as variables, without its files; `None` if pip fails."""
    file = os.environ.get("PIP_CONFIG_FILE")
    done = subprocess.run(
        # Verbose, because a configuration file may make it quiet.
        [*pip, "-vvv", "config", "list"],
        env={**environment, **({} if file is None else {"PIP_CONFIG_FILE": file})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout, end="")
        return None
    found: dict[str, str] = {}
    # `global` first: settings for `install` override it, and variables override both.
    for _section, name, value in sorted(_SETTING.findall(done.stdout)):
        if name in SETTINGS:
            found[name] = str(ast.literal_eval(value))
    names = {name: f"PIP_{name.upper().replace('-', '_')}" for name in SETTINGS}
    settings = {names[name]: value for name, value in found.items()}
    settings |= {name: os.environ[name] for name in names.values() if name in os.environ}
    return {**settings, "PIP_CONFIG_FILE": os.devnull}


def _misfit(log: str) -> str | None:
    """Return the package that the index has only for other Pythons or platforms.

    If the index cannot be reached, pip ends with the same message, but has skipped no files.
    """
    missing = _NOT_FOUND.search(log)
    if missing is None:
        return None
    name, version = missing[1], missing[2]
    file = re.compile(
        rf"Skipping link: .*/{re.sub('[-_.]+', '[-_.]+', name)}-{re.escape(version)}[-.]",
        re.IGNORECASE,
    )
    return f"{name} {version}" if file.search(log) else None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
