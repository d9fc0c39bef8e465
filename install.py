"""Install the locked packages into a separate virtual environment, for launch.sh.

    install.py VENV WHY_NOT

Exit status 0: it is ready. 3: a package has no wheel for this Python; the file WHY_NOT says so
in a part of a sentence, and another Python may work. 1: it failed; the file WHY_NOT says why,
unless pip has printed that.

uv installs, because it takes a tenth of pip's time: the one on PATH, or the locked one, which pip
fetches. Where uv cannot do what pip is set up for, or fails for whatever reason, pip installs, and
says what is wrong.

Nothing in the job's environment or in the configuration of pip and uv changes what is installed:
of pip's, only index, proxy, certificate and timeout settings are used, and `.netrc` for an index
that requires a password; of uv's, nothing. `requirement = FILE` in a pip.conf would add packages,
`target` and `python` would install them in another place.
"""

from __future__ import annotations

import ast
import contextlib
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

HERE: Final = Path(__file__).resolve().parent
LOCK: Final = HERE / "requirements" / "runtime.txt"
UV_LOCK: Final = HERE / "requirements" / "uv.txt"
NO_WHEEL: Final = 3

# The lock is complete, so there is nothing to resolve; modules are compiled only when they are
# used.
OPTIONS: Final = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")

PIP_OPTIONS: Final = (
    *("--disable-pip-version-check", "--no-input", "--no-color"),
    # pip installs a wheel from its cache if a note beside it names the locked hash, without hashing
    # the wheel; and an earlier job may have put it there.
    "--no-cache-dir",
)

UV_OPTIONS: Final = (
    *("--no-config", "--no-python-downloads", "--no-progress", "--color", "never", "--quiet"),
    # As pip does: all indexes are equal, and the hash decides.
    *("--index-strategy", "unsafe-best-match"),
)

OLDEST_UV: Final = (0, 8, 0)
"""The first in which all these options and the variables of `_settings_of_uv` work."""

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
        # By which GitHub's runner finds what a job has left running.
        "RUNNER_TRACKING_ID",
    ]
)
"""The variables that pip and uv get, in any case; `PYTHON…` and `UV_…` variables are excluded."""

_VERSION_SECONDS: Final = 10
_VERSION_BYTES: Final = 100
# 18 MB; where that takes longer, pip with its smaller files is as fast.
_FETCH_SECONDS: Final = 30
# Usually one; then pip has its turn.
_UV_SECONDS: Final = 60
# What follows takes seconds, and a slow machine or network some minutes. What takes longer hangs:
# pip gives up on a server that is silent, but not on one that sends a byte now and then.
_VENV_SECONDS: Final = 300
_PIP_SECONDS: Final = 900
_QUESTION_SECONDS: Final = 120

_SETTING: Final = re.compile(r"(global|install)\.([a-z-]+)=('.*'|\".*\")")
_NOT_FOUND: Final = re.compile(r"No matching distribution found for ([\w.-]+)==([^\s;]+)")
_UV_VERSION: Final = re.compile(rb"uv (\d+)\.(\d+)\.(\d+)")
_UV_IN_WHEEL: Final = re.compile(r"uv-[^/]+\.data/scripts/(uv|uv\.exe)")

_COMPARE: Final = """
import importlib.metadata, sys
for requirement in sys.argv[1:]:
    name, _, version = requirement.partition("==")
    if importlib.metadata.version(name) != version:
        sys.exit(1)
"""
_LOCKED: Final = re.compile(r"^([\w.-]+==[^\s;]+)(?= +[\\-]|$)", re.MULTILINE)

_Command = tuple[str | Path, ...]
_Variables = Mapping[str, str]


class Failed(Exception):
    """The text says why, in a part of a sentence."""


def main(venv: Path, why_not: Path) -> int:
    """Create the environment `venv`; return the exit status."""
    try:
        return _prepare(venv, why_not)
    except Failed as failed:
        _write_down(str(failed), why_not)
        return 1


def _prepare(venv: Path, why_not: Path) -> int:
    environment = {name: value for name, value in os.environ.items() if name.upper() in VARIABLES}
    inner = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # The runner's pip installs into an environment without one, from 22.3 on.
    options = ["--without-pip"]
    pip: _Command = (sys.executable, "-I", "-m", "pip", *PIP_OPTIONS)
    into_venv: _Command = (*pip, "--python", venv)
    _make(venv, options, environment)
    settings, _ = settings_of_pip(into_venv, environment)
    if settings is None:
        # An older one, or none: Python has one for new environments, which takes seconds.
        options = []
        pip = into_venv = (inner, "-I", "-m", "pip", *PIP_OPTIONS)
        _make(venv, options, environment)
        settings, said = settings_of_pip(pip, environment)
        if settings is None:
            print(said, end="", flush=True)
            return 1
    for_pip = environment | variables_of_pip(settings)
    # Beside the new environment, so that uv need not copy what it unpacks.
    with tempfile.TemporaryDirectory(
        prefix=f"{venv.name}-work-", dir=venv.parent, ignore_cleanup_errors=True
    ) as work:
        for_uv = _settings_of_uv(settings, environment)
        try:
            is_done = for_uv is not None and _install_with_uv(
                inner, Path(work), pip, for_pip, for_uv
            )
        except (OSError, zipfile.BadZipFile):
            is_done = False
        if not is_done:
            # Nothing that uv may have left behind is kept.
            shutil.rmtree(Path(work, "cache"), ignore_errors=True)
            if for_uv:
                _make(venv, options, environment)
            status = _install_with_pip(into_venv, Path(work), for_pip, why_not)
            if status != 0:
                return status
    return _add_our_own(inner, environment)


def _make(venv: Path, options: Sequence[str], environment: _Variables) -> None:
    command: _Command = (sys.executable, "-I", "-m", "venv", "--clear", *options, venv)
    if _run(*command, env=environment, what="python -m venv", seconds=_VENV_SECONDS) != 0:
        raise Failed("python -m venv failed (the log says why)")


def _add_our_own(inner: Path, environment: _Variables) -> int:
    # The package itself is used from its own folder.
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ask: _Command = (inner, "-I", "-c", where)
    _, said = _answer(*ask, env=environment, what="the new Python", errors=None)
    purelib = said.strip()
    if not purelib:
        raise Failed("the new Python did not start (the log says why)")
    # Up to 3.12, Python reads such a file in the locale's encoding.
    encoding = "utf-8" if sys.version_info >= (3, 13) else "locale"
    Path(purelib, "attested_publish.pth").write_text(f"{HERE / 'src'}\n", encoding=encoding)
    return 0


def _run(*command: str | Path, env: _Variables, what: str, seconds: float) -> int:
    """Return the exit status of a command, whose output is shown."""
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    status = _status(process, seconds)
    if status is None:
        raise _too_late(what, seconds)
    return status


def _answer(
    *command: str | Path, env: _Variables, what: str, errors: int | None = subprocess.STDOUT
) -> tuple[int, str]:
    """Return the exit status of a command, and what it prints."""
    process = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        said, _ = process.communicate(timeout=_QUESTION_SECONDS)
    except subprocess.TimeoutExpired:
        raise _too_late(what, _QUESTION_SECONDS) from None
    finally:
        _end(process)
    return process.returncode, said


def _too_late(what: str, seconds: float) -> Failed:
    return Failed(f"{what} did not finish within {seconds} seconds")


def _write_down(reason: str, why_not: Path) -> None:
    why_not.write_text(reason, encoding="utf-8", newline="")


def settings_of_pip(pip: _Command, environment: _Variables) -> tuple[dict[str, str] | None, str]:
    """Return pip's settings by name, `None` if pip fails; and what it printed."""
    file = os.environ.get("PIP_CONFIG_FILE")
    variables = {**environment, **({} if file is None else {"PIP_CONFIG_FILE": file})}
    # Verbose, because a configuration file may make it quiet.
    status, said = _answer(*pip, "-vvv", "config", "list", env=variables, what="pip config list")
    if status != 0:
        return None, said
    found: dict[str, str] = {}
    # `global` first: settings for `install` override it, and variables override both.
    for _section, name, value in sorted(_SETTING.findall(said)):
        if name in SETTINGS:
            found[name] = str(ast.literal_eval(value))
    own = {name: os.environ.get(_variable(name)) for name in SETTINGS}
    return found | {name: value for name, value in own.items() if value is not None}, ""


def variables_of_pip(settings: _Variables) -> dict[str, str]:
    """Return the settings as variables, without pip's files."""
    variables = {_variable(name): value for name, value in settings.items()}
    return {**variables, "PIP_CONFIG_FILE": os.devnull}


def _variable(name: str) -> str:
    return f"PIP_{name.upper().replace('-', '_')}"


def _install_with_pip(pip: _Command, work: Path, environment: _Variables, why_not: Path) -> int:
    log = work / "pip.log"
    install = (*pip, "--log", log, "install", "--quiet", "--progress-bar", "off", *OPTIONS)
    command = (*install, "-r", LOCK)
    if _run(*command, env=environment, what="pip install", seconds=_PIP_SECONDS) != 0:
        # Without a log, pip did not begin.
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        misfit = _misfit(said)
        if misfit is None:
            return 1
        python = f"{platform.python_implementation()} {platform.python_version()}"
        _write_down(f"{misfit} has no wheel for {python} on {sysconfig.get_platform()}", why_not)
        return NO_WHEEL
    check = (*pip, "check")
    failed = _run(*check, env=environment, what="pip check", seconds=_QUESTION_SECONDS) != 0
    return 1 if failed else 0


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


def _install_with_uv(
    inner: Path, work: Path, pip: _Command, for_pip: _Variables, for_uv: _Variables
) -> bool:
    """Return whether uv has installed everything. What it prints is not shown: pip knows better."""
    uv = _uv_on_path(for_uv, work) or _fetched_uv(pip, for_pip, for_uv, work)
    if uv is None:
        return False
    # An own cache: uv takes what is unpacked in one as it is, and a step before this one may have
    # changed that of the job.
    options = (*UV_OPTIONS, "--cache-dir", work / "cache", "--python", inner)
    begun = (uv, "pip", "install", *options, *OPTIONS, "-r", LOCK)
    if not _succeeds(begun, for_uv, _UV_SECONDS, folder=work):
        print("uv could not install the packages, so pip does.", flush=True)
        return False
    check = (uv, "pip", "check", "--no-config", "--cache-dir", work / "cache", "--python", inner)
    # A wrapper called uv may do nothing, successfully.
    everywhere = _LOCKED.findall(LOCK.read_text(encoding="utf-8"))
    compare = (inner, "-I", "-c", _COMPARE, *everywhere)
    return all(_succeeds(each, for_uv, _UV_SECONDS, folder=work) for each in (check, compare))


def _uv_on_path(environment: _Variables, work: Path) -> Path | None:
    name = "uv.exe" if os.name == "nt" else "uv"
    for folder in environment.get("PATH", "").split(os.pathsep):
        uv = Path(folder, name)
        # A relative one would be found in the folder that the job happens to be in.
        if uv.is_absolute() and os.access(uv, os.X_OK) and _is_usable(uv, environment, work):
            return uv
    return None


def _is_usable(uv: Path, environment: _Variables, work: Path) -> bool:
    process = _started((uv, "--version"), environment, work, subprocess.PIPE)
    if process is None:
        return False
    timer = threading.Timer(_VERSION_SECONDS, _end, (process,))
    timer.start()
    try:
        assert process.stdout is not None
        version = _UV_VERSION.match(process.stdout.read(_VERSION_BYTES))
    finally:
        timer.cancel()
        _end(process)
    return version is not None and tuple(map(int, version.groups())) >= OLDEST_UV


def _fetched_uv(pip: _Command, for_pip: _Variables, for_uv: _Variables, work: Path) -> Path | None:
    """Return the locked uv, which pip fetches; `None` where that cannot be done at the first try.

    pip compares the hash of the file that it leaves in our own folder.
    """
    download = (*pip, "download", "--quiet", "--progress-bar", "off", *OPTIONS[:-1])
    once = {**for_pip, "PIP_RETRIES": "0"}
    command = (*download, "--dest", work / "wheel", "-r", UV_LOCK)
    if not _succeeds(command, once, _FETCH_SECONDS):
        return None
    for wheel in (work / "wheel").glob("uv-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = _UV_IN_WHEEL.fullmatch(member)
                if name is None:
                    continue
                uv = work / name[1]
                with archive.open(member) as source, uv.open("wb") as target:
                    shutil.copyfileobj(source, target)
                uv.chmod(0o755)
                return uv if _is_usable(uv, for_uv, work) else None
    return None


def _succeeds(
    command: _Command, environment: _Variables, seconds: float, *, folder: Path | None = None
) -> bool:
    """Run a command in a folder; nothing is left of it after `seconds`."""
    process = _started(command, environment, folder, subprocess.DEVNULL)
    return process is not None and _status(process, seconds) == 0


def _status(process: subprocess.Popen[Any], seconds: float) -> int | None:
    """Return the exit status, `None` if it takes longer; nothing is left of the process then."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _started(
    command: _Command, environment: _Variables, folder: Path | None, output: int
) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None


def _end(process: subprocess.Popen[Any]) -> None:
    if process.returncode is not None:
        return
    # What is on PATH may be a script that has started the program.
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _NotForUv(Exception):
    """A setting of pip's to which uv has no equal."""


def _settings_of_uv(settings: _Variables, environment: _Variables) -> dict[str, str] | None:
    """Return uv's environment, with pip's settings; `None` if one has no equal in uv.

    Everything is a variable: an address may contain a password.
    """
    # pip ignores empty ones, too.
    settings = {name: value for name, value in settings.items() if value.strip()}
    try:
        return {
            **_certificates(settings, environment, _proxies(settings, environment)),
            **_sources(settings),
            **_patience(settings),
        }
    except (_NotForUv, ValueError, OverflowError, RuntimeError, OSError):
        # RuntimeError: a home folder that is not known.
        return None


def _sources(settings: _Variables) -> dict[str, str]:
    found = {}
    if settings.get("no-index") and _is_on(settings["no-index"]):
        found["UV_NO_INDEX"] = "1"
    else:
        index = _one_of(settings, "index-url", "pypi-url")
        if index is not None:
            found["UV_DEFAULT_INDEX"] = _place(index) or index
        extra = map(_place, settings.get("extra-index-url", "").split())
        found["UV_INDEX"] = " ".join(filter(None, extra))
    links = [*filter(None, map(_place, settings.get("find-links", "").split()))]
    if any("," in link for link in links):
        raise _NotForUv
    found["UV_FIND_LINKS"] = ",".join(links)
    found["UV_INSECURE_HOST"] = " ".join(settings.get("trusted-host", "").split())
    return {name: value for name, value in found.items() if value}


def _place(text: str) -> str | None:
    """Return an index's address or its absolute path; `None` for a folder that is missing."""
    parts = urlsplit(text)
    if parts.scheme in {"http", "https"}:
        return text
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        folder = Path(url2pathname(parts.path))
    elif "://" not in text:
        folder = Path(text).expanduser().absolute()
    else:
        raise _NotForUv
    if not folder.exists():
        return None
    # pip also reads a page of links.
    if not folder.is_dir() or " " in str(folder):
        raise _NotForUv
    return str(folder)


def _proxies(settings: _Variables, environment: _Variables) -> dict[str, str]:
    proxy = settings.get("proxy")
    if proxy is None:
        return dict(environment)
    # It is used for every host.
    kept = {
        name: value
        for name, value in environment.items()
        if name.upper() not in {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    }
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return {**kept, "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}


def _certificates(
    settings: _Variables, environment: _Variables, given: _Variables
) -> dict[str, str]:
    found = dict(given)
    # In this order: for requests, with which pip connects, a variable outweighs a setting.
    bundle = (
        environment.get("REQUESTS_CA_BUNDLE")
        or environment.get("CURL_CA_BUNDLE")
        or settings.get("cert")
    )
    if bundle is not None:
        found.pop("SSL_CERT_DIR", None)
        found["SSL_CERT_FILE"] = _file(bundle)
    elif "SSL_CERT_FILE" not in found:
        # As newer releases of pip do; the older name of this variable is that of older releases.
        found |= {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    if "client-cert" in settings:
        found["SSL_CLIENT_CERT"] = _file(settings["client-cert"])
    return found


def _file(text: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise _NotForUv
    return str(path)


def _patience(settings: _Variables) -> dict[str, str]:
    found = {}
    timeout = _one_of(settings, "timeout", "default-timeout")
    if timeout is not None:
        found["UV_HTTP_TIMEOUT"] = str(max(1, math.ceil(float(timeout))))
    if "retries" in settings:
        found["UV_HTTP_RETRIES"] = str(max(0, int(settings["retries"])))
    return found


def _one_of(settings: _Variables, *names: str) -> str | None:
    """Return the setting that has two names; pip decides where they differ."""
    values = {settings[name].strip() for name in names if name in settings}
    if len(values) > 1:
        raise _NotForUv
    return next(iter(values), None)


def _is_on(text: str) -> bool:
    text = text.strip().lower()
    if text in {"y", "yes", "t", "true", "on", "1"}:
        return True
    if text in {"n", "no", "f", "false", "off", "0"}:
        return False
    raise _NotForUv


def _end_on_signals() -> None:
    for name in ("SIGTERM", "SIGHUP"):
        # As Ctrl-C: whatever was started is ended, too.
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: sys.exit(1))


if __name__ == "__main__":
    _end_on_signals()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
