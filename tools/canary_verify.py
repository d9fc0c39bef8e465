"""Verify what an index serves of the canary's release, with our command and pypi-attestations.

    python tools/canary_verify.py DIST --index-url … --repository … (--help lists all)

DIST is the folder with the files that were to be published. Waits until the index lists them, and
compares the bytes. Each must have a publish attestation and SLSA provenance, and both programs must
accept them, for the expected publisher, ref and commit. Exit status 1, and a sentence for each
failure, if anything is wrong. In a job, the failures are also the output `failures`, from which
tools/workflow_issue.py makes the text of an issue.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urljoin

import requests
from packaging.utils import canonicalize_name
from pydantic import ValidationError
from pypi_attestations import AttestationType, Provenance

from attested_publish.distributions import release_of
from attested_publish.net.http import ask, new_session
from attested_publish.net.unreachable import why_unreachable
from attested_publish.net.untrusted import harmless, shown
from attested_publish.rehearsal.jobs.pretended import without_job

_SIMPLE: Final = "application/vnd.pypi.simple.v1+json"
_PAGE_LIMIT: Final = 64 << 20
"""Bytes of a project's page: two files a day are half a megabyte a year."""

_PAUSE: Final = 10.0
_COMMAND_SECONDS: Final = 300
_SAID: Final = 2_000
"""Characters of a program's output that go into an issue: its end, where the reason is."""

_SUFFIXES: Final = {
    AttestationType.PYPI_PUBLISH_V1.value: ".publish.attestation",
    AttestationType.SLSA_PROVENANCE_V1.value: ".slsa.attestation",
}
"""The kinds that each file has to have, and how pypi-attestations calls their files."""

_SIGSTORE: Final = "https://tuf-repo-cdn.sigstore.dev"


@dataclass(frozen=True)
class Publisher:
    """Who should have published, and for what."""

    repository: str
    workflow: str
    environment: str
    commit: str
    ref: str

    @property
    def identity(self) -> str:
        """The subject of its certificates."""
        return f"https://github.com/{self.repository}/.github/workflows/{self.workflow}@{self.ref}"


@dataclass(frozen=True)
class Failure:
    """What is wrong, in a sentence, and the end of what a program said of it."""

    what: str
    said: str = ""


class Failed(Exception):
    """There is nothing further to verify; the text is a sentence."""


@dataclass(frozen=True)
class Canary:
    """The files of one release in a folder, and the index that should serve them."""

    dist: Path
    index_url: str
    publisher: Publisher
    trust_config: Path | None = None
    patience: float = 600.0

    def failures(self) -> Iterator[Failure]:
        """Verify the release, and yield everything that is wrong."""
        paths = sorted(path for path in self.dist.iterdir() if path.is_file())
        releases = {release_of(path.name) for path in paths}
        if len(releases) != 1 or None in (release := releases.pop()):
            yield Failure(f"{self.dist} does not have the files of one release.")
            return
        project, version = release
        with tempfile.TemporaryDirectory() as name, new_session() as session:
            folder = Path(name)
            served = folder / "served"
            served.mkdir()
            try:
                entries = self._listed(str(project), [path.name for path in paths], session)
                for path in paths:
                    yield from _fetch(path, entries[path.name], served, session)
            except Failed as failure:
                yield Failure(str(failure))
                return
            yield from self._by_us(f"{project}=={version}")
            yield from self._by_pypi_attestations(served, [path.name for path in paths], folder)

    def _listed(
        self, project: str, names: Sequence[str], session: requests.Session
    ) -> dict[str, Mapping[str, Any]]:
        """Return what the project's page says of each file, once it lists them all."""
        url = urljoin(self.index_url, f"{canonicalize_name(project)}/")
        end = time.monotonic() + self.patience
        while True:
            try:
                answer = _answer(url, session, accept=_SIMPLE)
                entries = {each["filename"]: each for each in json.loads(answer)["files"]}
                missing = [name for name in names if name not in entries]
                why = f"it does not list {', '.join(missing)}"
            except Failed as failure:
                missing, why = list(names), str(failure)
            except (KeyError, RecursionError, TypeError, ValueError):
                missing, why = list(names), "its page is not the JSON of PEP 691"
            if not missing:
                return entries
            if time.monotonic() + _PAUSE > end:
                raise Failed(
                    f"{shown(url)} does not serve the release after {self.patience:.0f} seconds: "
                    f"{why}."
                )
            print(f"Not yet: {why}.", flush=True)
            time.sleep(_PAUSE)

    def _by_us(self, release: str) -> Iterator[Failure]:
        expected = asdict(self.publisher)
        options = [f"--{name}={value}" for name, value in expected.items()]
        if self.trust_config:
            options.append(f"--sigstore-trust-config={self.trust_config.resolve()}")
        yield from _run(
            "attested-publish verify",
            ("attested_publish", "verify", release, f"--index-url={self.index_url}", *options),
            {},
        )

    def _by_pypi_attestations(
        self, served: Path, names: Sequence[str], folder: Path
    ) -> Iterator[Failure]:
        environment, offline = {}, []
        if self.trust_config:
            # It has no option for another root of trust, but reads the one that it has kept.
            environment = _kept_root(self.trust_config, folder / "home")
            offline = ["--offline"]
        program = ("pypi_attestations", "verify")
        whose = f"--repository=https://github.com/{self.publisher.repository}"
        for name in names:
            provenance = served / f"{name}.provenance"
            if provenance.exists():
                yield from _run(
                    f"pypi-attestations verify pypi {name}",
                    (
                        *(*program, "pypi", *offline, whose),
                        *(f"--provenance-file={provenance}", str(served / name)),
                    ),
                    environment,
                )
            # The other way knows the ref, too.
            if any((served / f"{name}{suffix}").exists() for suffix in _SUFFIXES.values()):
                identity = f"--identity={self.publisher.identity}"
                yield from _run(
                    f"pypi-attestations verify attestation {name}",
                    (*program, "attestation", *offline, identity, str(served / name)),
                    environment,
                )


def _answer(url: str, session: requests.Session, *, accept: str = "*/*") -> bytes:
    try:
        answer = ask(session, "GET", url, headers={"Accept": accept}, limit=_PAGE_LIMIT)
    except requests.RequestException as error:
        raise Failed(f"no answer from {shown(url)}: {why_unreachable(error)}") from error
    if answer.status != HTTPStatus.OK:
        raise Failed(f"{shown(url)} answers {answer.status}")
    return answer.body


def _fetch(
    path: Path, entry: Mapping[str, Any], served: Path, session: requests.Session
) -> Iterator[Failure]:
    """Keep what the index serves of a file: its bytes, its provenance, and the attestations."""
    try:
        content = _answer(str(entry["url"]), session)
    except (Failed, KeyError) as error:
        yield Failure(f"{path.name} cannot be downloaded: {shown(error)}.")
        return
    # So that both programs judge what is served.
    (served / path.name).write_bytes(content)
    digests = [hashlib.sha256(each).hexdigest() for each in (path.read_bytes(), content)]
    if digests[0] != digests[1]:
        yield Failure(
            f"{path.name} has other bytes than what was published: sha256 {digests[1]}, not "
            f"{digests[0]}."
        )
    address = entry.get("provenance")
    if not address:
        yield Failure(f"{path.name} is served without provenance.")
        return
    try:
        answer = _answer(str(address), session)
        provenance = Provenance.model_validate_json(answer)
        found = [
            (str(each.statement["predicateType"]), each.model_dump_json())
            for bundle in provenance.attestation_bundles
            for each in bundle.attestations
        ]
    except Failed as error:
        yield Failure(f"The provenance of {path.name} cannot be fetched: {error}.")
        return
    except (KeyError, TypeError, ValidationError, ValueError):
        yield Failure(f"The provenance of {path.name} cannot be read.")
        return
    (served / f"{path.name}.provenance").write_bytes(answer)
    if sorted(kind for kind, _ in found) != sorted(_SUFFIXES):
        kinds = ", ".join(shown(kind) for kind, _ in found) or "none"
        yield Failure(
            f"{path.name} should have one publish attestation and one SLSA provenance; it has: "
            f"{kinds}."
        )
    for kind, attestation in found:
        if kind in _SUFFIXES:
            (served / f"{path.name}{_SUFFIXES[kind]}").write_text(attestation, encoding="utf-8")


def _run(name: str, module: Sequence[str], environment: Mapping[str, str]) -> Iterator[Failure]:
    """Run a program; yield a failure if it does not end with status 0."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", *module],
            # The programs need not know that this is a job: their output is for people.
            env={**without_job(os.environ), "COLUMNS": "100", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Failure(f"{name} did not end within {_COMMAND_SECONDS} seconds.")
        return
    said = harmless(done.stdout.strip(), pieces=True)
    print(f"{name}: exit status {done.returncode}\n{said}\n", flush=True)
    if done.returncode != 0:
        yield Failure(f"{name} ended with exit status {done.returncode}.", said[-_SAID:])


def _kept_root(trust_config: Path, home: Path) -> dict[str, str]:
    """Return the variables of a home where the public Sigstore's kept root is another one."""
    root = json.loads(trust_config.read_text(encoding="utf-8"))["trustedRoot"]
    cache = home / "cache" / "sigstore-python" / "tuf" / quote(_SIGSTORE, safe="")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "trusted_root.json").write_text(json.dumps(root), encoding="utf-8")
    return {"XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}


def main() -> int:
    """Verify a release; print, and hand over, what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dist", type=Path)
    parser.add_argument("--index-url", required=True, help="its simple API (…/simple/)")
    for name in ("repository", "workflow", "environment", "commit", "ref"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--sigstore-trust-config", type=Path, help="of another Sigstore")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait (600)")
    options = parser.parse_args()
    publisher = Publisher(
        options.repository, options.workflow, options.environment, options.commit, options.ref
    )
    canary = Canary(
        options.dist,
        options.index_url,
        publisher,
        options.sigstore_trust_config,
        options.patience,
    )
    failures = list(canary.failures())
    for failure in failures:
        print(f"✗ {failure.what}")
    if not failures:
        print(f"✓ {options.index_url} serves the release, and both programs accept it.")
    with suppress(KeyError), Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        # JSON has no line breaks of its own.
        file.write(f"failures={json.dumps([asdict(each) for each in failures])}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
