"""Rehearse a release: the complete journey, with embedded services and a simulated job."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename
from rich import filesize
from rich.style import Style
from rich.text import Text

from attested_publish.console.listing import Cells, Column, Listing
from attested_publish.distributions import Kind
from attested_publish.index.index import Dialect, Index
from attested_publish.journey.outcome import report_of
from attested_publish.journey.publish import publish
from attested_publish.journey.targets import Targets
from attested_publish.net.stopping import Stopped, ended_when_stopped, is_stopped
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import ConfirmationProblem, Topic, alternatives
from attested_publish.rehearsal.jobs.pretended import JOBS, given_ref, job_here
from attested_publish.rehearsal.json_file import JsonFileError
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.sample import build_sample
from attested_publish.rehearsal.world import World
from attested_publish.report import Result
from attested_publish.settings import WrongUsage, gathering

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.journey.run import Run
    from attested_publish.rehearsal.jobs.pretended import Job
    from attested_publish.report import Report

_INSTALL_SECONDS = 120
_END_SECONDS = 1
_ADDRESS_WIDTH = 26

_PIP_NEEDS = frozenset(
    [
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE"),
        # Some Pythons need these to find their own library.
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PROCESSOR_ARCHITECTURE"),
    ]
)
"""The variables that pip gets, in any case; the index is on loopback, without a proxy."""


def rehearse(
    run: Run,
    registry_file: Path | None,
    claims: Sequence[str],
    *,
    sample: bool,
    job: str | None = None,
) -> None:
    """Publish to an embedded PyPI and Sigstore, as a simulated job.

    `claims` are `NAME=VALUE` overrides of the job's claims; with `sample`, a small project is
    built and published instead of the user's files. `job` is a kind in `JOBS`, by default the
    kind of job that this process runs in. Raises `WrongUsage` for an invalid registry or invalid
    claims, otherwise what `publish` raises.

    There is an embedded index for each index in the settings.
    """
    registry, overrides, kind = read_world(registry_file, claims, job)
    # Each index makes its own of it.
    further = [registry for _ in run.settings.repository_urls[1:]]
    with ended_when_stopped() as until_done:
        if sample:
            folder = Path(
                until_done.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            )
            run.settings = replace(run.settings, packages_dir=(str(build_sample(folder)),))
        job_claims = kind.claims(os.environ, overrides)
        world = until_done.enter_context(
            World(
                claims=job_claims,
                registry=registry,
                job=kind,
                further=further,
            )
        )
        index_urls = (world.index_url, *(each.index_url for each in world.further))
        upload_urls = (world.upload_url, *(each.upload_url for each in world.further))
        _announce(run, kind, index_urls)
        run.settings = replace(
            run.settings,
            repository_urls=upload_urls,
            user="__token__",
            password="",
            sigstore_trust_config=None,
        )
        index, *others = (Index.at(url, Dialect.PYPI) for url in upload_urls)
        run.targets = Targets(
            index,
            world.trust_config,
            ambient=world.ambient,
            is_identity_local=True,
            ref=given_ref(kind, job_claims, os.environ, overrides),
            further=tuple(others),
        )
        publish(run)
        for part, index_url in zip(run.parts or [run], index_urls, strict=True):
            if part.result is Result.DONE:
                _prove(part, index_url)


def _announce(run: Run, kind: Job, index_urls: Sequence[str]) -> None:
    run.printer.notice(
        f"This is a rehearsal: PyPI, Sigstore and {kind.provider}'s identity provider are "
        "embedded, on loopback, with new keys. Nothing leaves this machine. Index: "
        f"{', '.join(index_urls)}"
    )


def _prove(run: Run, index_url: str) -> None:
    """Install from an embedded index, and report the result."""
    installed = install_a_wheel([file.distribution for file in run.files.values()], index_url)
    run.printer.console.print()
    run.printer.table(result_table(report_of(run), index_url))
    run.recorder.remark(installed)


def read_world(
    registry_file: Path | None, claims: Sequence[str], job: str | None
) -> tuple[Registry, dict[str, str], Job]:
    """Read which publishers there are, what is claimed, and which kind of job claims it.

    Raises one `WrongUsage` for all that is invalid.
    """
    faults: list[str] = []
    registry, overrides, kind = Registry.open(), {}, job_here(os.environ)
    with gathering(faults):
        registry = read_registry(registry_file)
    with gathering(faults):
        overrides = read_claims(claims)
    if job is not None and job not in JOBS:
        faults.append(f"--job is {shown(job, 80)!r}; it must be {alternatives(JOBS)}.")
    if faults:
        raise WrongUsage(*faults)
    return registry, overrides, kind if job is None else JOBS[job]


def read_registry(path: Path | None) -> Registry:
    """Read a registry file; without one, any job may publish any project."""
    try:
        return Registry.open() if path is None else Registry.read(path)
    except JsonFileError as error:
        raise WrongUsage(f"--registry: {error}") from error


def read_claims(texts: Sequence[str]) -> dict[str, str]:
    """Parse `NAME=VALUE` overrides of a simulated job's claims."""
    claims = {}
    faults = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            faults.append(f"--claim is {shown(text, 80)!r}; it must have the form NAME=VALUE.")
        claims[name.strip()] = value
    if faults:
        raise WrongUsage(*faults)
    return claims


def install_a_wheel(distributions: Sequence[Distribution], index_url: str) -> str:
    """Install one of the wheels from the embedded index with pip; return the result as a sentence.

    Raises `ConfirmationProblem` if pip cannot install what was just published.
    """
    wheel = _wheel_to_install(distributions)
    if wheel is None:
        return "No wheel was published, so none was installed."
    if not _has_pip():
        return "This Python has no pip, so the installation of a wheel was not tested."
    with ended_when_stopped() as until_done:
        folder = Path(
            until_done.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        )
        # What pip leaves behind when it is killed is removed with the folder.
        home, temporary = folder / "home", folder / "temporary"
        home.mkdir()
        temporary.mkdir()
        command = [
            *(sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check"),
            *("install", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"),
            # The wheel may require another version of Python.
            "--ignore-requires-python",
            *("--index-url", index_url, "--target", str(home), *_tags(wheel.filename)),
            f"{wheel.project}=={wheel.version}",
        ]
        process = subprocess.Popen(  # noqa: S603 - this interpreter, no shell
            command,
            env=_environment(home, temporary),
            # The current working directory may no longer exist.
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # So that what it starts can be ended with it.
            start_new_session=True,
        )
        until_done.callback(_end, process)
        try:
            output, errors = process.communicate(timeout=_INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            said = f"It took more than {_INSTALL_SECONDS} s."
        else:
            if process.returncode == 0:
                return f"pip installed {wheel.filename} from {index_url}"
            said = shown(errors or output)
        if is_stopped():
            raise Stopped("the run was told to stop")
    raise ConfirmationProblem(
        f"pip could not install {shown(wheel.filename)} from the embedded index",
        topic=Topic.NOT_INSTALLABLE,
        detail=said,
        remedy="Published like this, the wheel could not be installed from the real index either.",
        file=wheel.filename,
    )


def result_table(report: Report, index_url: str) -> Listing:
    """Return the files of a rehearsal as a table, with the addresses where they are served."""
    root = index_url.removesuffix("/simple/")
    listing = Listing(
        Column("file", Cells.NAMES),
        Column("size", right=True),
        Column("sha256", goes=True, label="sha256"),
        Column("log", right=True, label="log"),
        Column("served at", goes=True, listed=False),
        Column("after", right=True, goes=True, label="after"),
        title=f"Rehearsed on {root}",
    )
    for file in report.files.values():
        address = shown((file.url or "nowhere").partition("#")[0].removeprefix(root))
        # It is a digest for the most part; a terminal has the link.
        short = f"{address[: _ADDRESS_WIDTH - 1]}…" if len(address) > _ADDRESS_WIDTH else address
        listing.add(
            harmless(shown(file.filename)),
            filesize.decimal(file.size),
            f"{file.sha256[:12]}…",
            " ".join(f"#{each.log_index}" for each in file.attestations),
            Text(harmless(short), Style(link=file.url)),
            "" if file.served_after is None else f"{file.served_after:.2f} s",
        )
    return listing


def _wheel_to_install(distributions: Sequence[Distribution]) -> Distribution | None:
    """Choose a wheel that is compatible with this Python, or else any."""
    wheels = [each for each in distributions if each.kind is Kind.WHEEL]
    fitting = [each for each in wheels if not _tags(each.filename)]
    return next(iter(fitting or wheels), None)


def _tags(filename: str) -> list[str]:
    """Return the options that make pip accept a wheel for another Python or machine."""
    tags = parse_wheel_filename(filename)[3]
    if tags.intersection(sys_tags()):
        return []
    tag = min(tags, key=str)
    implementation, version = tag.interpreter[:2], tag.interpreter[2:]
    options = ["--implementation", implementation, "--abi", tag.abi, "--platform", tag.platform]
    return [*options, "--python-version", version] if version.isdecimal() else options


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that leads a session, and what it has started."""
    if process.poll() is not None:
        return
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)


def _environment(home: Path, temporary: Path) -> dict[str, str]:
    """Return the variables that pip needs: no secrets, no other index, nobody's `.netrc`."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in _PIP_NEEDS}
    own = {
        **dict.fromkeys(["HOME", "USERPROFILE"], str(home)),
        **dict.fromkeys(["TMPDIR", "TEMP", "TMP"], str(temporary)),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return kept | own
