"""What is fuzzed, and what has to hold there: a target makes a case, and raises `Failure`."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypi_attestations import Attestation

from attested_publish.attestations.convert import NotConvertible, bundle_of, read_provenance
from attested_publish.attestations.found import found_in
from attested_publish.attestations.verify import (
    AttestationRefused,
    certificate_identity,
    load_trust,
    log_index,
    policy_of,
    predicate_type_of,
    publisher_fields,
    verify_attestation,
)
from attested_publish.consumer.expected import publisher_text
from attested_publish.distributions import kind_of, release_of
from attested_publish.index.package import READ
from attested_publish.journey.publisher_differences import _publisher_in
from attested_publish.net.untrusted import sentence, shown
from attested_publish.rules.checks import check_file
from attested_publish.rules.verdicts import Verdicts
from attested_publish.sandbox.pool import BeyondBounds, Sandbox, Unreadable
from fuzz.answers import HostileIndex
from fuzz.archives import description, metadata, sdist, wheel, wheel_name
from fuzz.documents import as_bytes, changed
from fuzz.texts import UNITS, encoded, text, word
from support.makers import make_release, make_sdist, make_wheel, metadata_text
from support.releases import publisher_policy, staged
from support.sidecars import SLSA, attestation, bundle

if TYPE_CHECKING:
    import random

    from sigstore.verify import Verifier

    from support.releases import Stage

SECONDS = 10.0
"""How long anything may take."""

_SENTENCE = 1200
_LONG = 0.2
_TOO_MUCH = 3.3
_PUBLISHER = {"kind": "GitHub", "repository": "octo-org/sample-project", "workflow": "release.yml"}


class Failure(Exception):
    """A case in which something does not hold; the text says what."""


@dataclass
class Ground:
    """What the cases of one run need: a sandbox, an embedded world, real documents of its own."""

    folder: Path
    sandbox: Sandbox
    stage: Stage
    index: HostileIndex
    verifier: Verifier
    documents: list[Any] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Ground]:
        """Publish a release in an embedded world, and start a sandbox."""
        with contextlib.ExitStack() as until_done:
            root = Path(until_done.enter_context(tempfile.TemporaryDirectory()))
            dist = root / "dist"
            make_release(dist)
            stage = until_done.enter_context(staged(dist))
            report = stage.run()
            assert report.result == "done", stage.printed
            sandbox = Sandbox()
            until_done.callback(sandbox.close)
            index = HostileIndex(stage)
            until_done.callback(index.close)
            path = dist / "sample-1.0-py3-none-any.whl"
            attested = json.loads(attestation(stage.world, path).model_dump_json())
            bundles = [{"publisher": _PUBLISHER, "attestations": [attested, attested]}]
            yield cls(
                folder=root / "case",
                sandbox=sandbox,
                stage=stage,
                index=index,
                verifier=load_trust(stage.world.trust_config).verifier,
                documents=[
                    attested,
                    bundle(stage.world, path, predicate_type=SLSA),
                    {"version": 1, "attestation_bundles": bundles},
                ],
            )

    def clear(self) -> None:
        """Empty the folder for the files of a case."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()


def sayable(said: object, most: int = _SENTENCE) -> None:
    """Hold that a text can be printed anywhere, and is no longer than a sentence or two."""
    told = str(said)
    if not told.isprintable():
        raise Failure(f"not printable: {told[:300]!r}")
    if len(told) > most:
        raise Failure(f"{len(told)} characters: {told[:300]!r}")


@contextlib.contextmanager
def in_time(most: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Hold that what is done in here takes no more than `most` seconds."""
    started = clock()
    yield
    seconds = clock() - started
    if seconds > most:
        raise Failure(f"it took {seconds:.1f} s")


def _judged(path: Path, ground: Ground) -> list[Any]:
    """Hold a file's verdict to what is promised of it."""
    with in_time():
        findings = Verdicts(ground.sandbox).find(path, path.name, path.stat().st_size)
    for finding in findings:
        sayable(finding.message)
        sayable(finding.remedy)
        # A reader's error that nobody has thought of has its name before it.
        is_ours = finding.rule != "file-beyond-bounds" or "it exceeded" in finding.message
        if not is_ours and "nested" not in finding.message and "crashed" not in finding.message:
            raise Failure(f"{finding.rule}: {finding.message}")
    json.dumps([[one.rule, one.severity, one.message, one.remedy] for one in findings])
    return findings


def _wheel(chance: random.Random, ground: Ground) -> None:
    _judged(wheel(chance, ground.folder), ground)


def _sdist(chance: random.Random, ground: Ground) -> None:
    _judged(sdist(chance, ground.folder), ground)


def _metadata(chance: random.Random, ground: Ground) -> None:
    make = chance.choice((make_wheel, make_sdist))
    made = metadata(chance)
    try:
        path = make(ground.folder, metadata=made)
    except UnicodeEncodeError:
        path = make(ground.folder, metadata=made.encode("utf-8", "replace").decode())
    _judged(path, ground)
    with contextlib.suppress(BeyondBounds, Unreadable), in_time():
        ground.sandbox.ask_about(READ, path, path.name, path.stat().st_size)


def _description(chance: random.Random, ground: Ground) -> None:
    types = ("text/markdown", "text/x-rst", "text/plain")
    body = description(chance).encode("utf-8", "replace").decode()
    headers = {"Description-Content-Type": chance.choice(types)}
    made = metadata_text(headers=headers, body=body)
    _judged(make_wheel(ground.folder, metadata=made), ground)


def _names(chance: random.Random, ground: Ground) -> None:
    name = chance.choice((wheel_name, lambda one: word(one) + one.choice((".whl", ".tar.gz"))))(
        chance
    )
    if chance.random() < 0.3:
        tags = ".".join(f"p{n}" for n in range(int(2000 ** chance.random())))
        name = f"a-1-{tags}-{tags}-{tags}.whl"
    with in_time(0.3, time.process_time):
        kind_of(name)
        release_of(name)


def _texts(chance: random.Random, ground: Ground) -> None:
    most = int(300_000 ** chance.random()) + 1
    said = text(chance, most)
    with in_time(1.0, time.process_time):
        sayable(shown(said), 5100)
        for content_type in ("text/html", "application/json", ""):
            for content in (said, json.dumps({"message": said}), json.dumps({"errors": [said]})):
                told = sentence(
                    status=500,
                    reason=word(chance),
                    body=encoded(chance, content),
                    content_type=content_type,
                )
                sayable(told, 5100)


def _sidecar(chance: random.Random, ground: Ground) -> None:
    suffix = chance.choice((".publish.attestation", ".sigstore.json", ".intoto.jsonl"))
    path = ground.folder / f"sample-1.0-py3-none-any.whl{suffix}"
    path.write_bytes(as_bytes(chance, changed(chance, chance.choice(ground.documents))))
    try:
        with in_time():
            documents = found_in(path, ground.sandbox, ["f" * 64])
    except NotConvertible as why:
        sayable(why)
        if "Error" in str(why):
            raise Failure(str(why)) from why
        return
    with in_time():
        for document in documents:
            sayable(document.why_not)
            for made in document.attestations:
                _used(Attestation.model_validate_json(made), ground)


def _provenance(chance: random.Random, ground: Ground) -> None:
    document = changed(chance, ground.documents[2])
    with in_time(1.0, time.process_time):
        _publisher_in(document)
        try:
            provenance = read_provenance(document)
        except NotConvertible as why:
            sayable(why)
            return
        for held in provenance.attestation_bundles:
            sayable(publisher_text(held.publisher))
            publisher_fields(held.publisher)
            policy_of(held.publisher)
            for made in held.attestations:
                _used(made, ground)


def _used(made: Attestation, ground: Ground) -> None:
    """Do with an attestation what is done with one that was found."""
    path = ground.stage.folder / "sample-1.0-py3-none-any.whl"
    predicate_type_of(made)
    with contextlib.suppress(NotConvertible):
        bundle_of(made).to_json()
    try:
        verify_attestation(
            made,
            filename=path.name,
            sha256="f" * 64,
            policy=publisher_policy("octo-org/sample-project", "release.yml"),
            verifier=ground.verifier,
        )
    except AttestationRefused as why:
        sayable(why, 6000)
    else:
        log_index(made)
        certificate_identity(made)


def _answers(chance: random.Random, ground: Ground) -> None:
    with in_time(3 * SECONDS):
        for report, printed in ground.index.hold(chance):
            json.dumps(report.as_json())
            if "Something unexpected" in printed or "Traceback" in printed:
                raise Failure(printed[-2000:])
            for line in printed.splitlines():
                sayable(line, 20_000)


def _growth(chance: random.Random, ground: Ground) -> None:
    """Double what one place holds, three times: the time must not be four times as much."""
    unit = "".join(chance.choice(UNITS) for _ in range(chance.choice((1, 1, 2))))
    place = chance.choice(tuple(_PLACES))
    before = _LONG
    for size in (2000, 4000, 8000, 16_000, 40_000, 80_000, 160_000):
        ground.clear()
        path = _PLACES[place](ground.folder, unit * (size // len(unit)))
        took = _seconds_for(path)
        if took > _TOO_MUCH * max(before, _LONG):
            # The machine may have had other things to do.
            took = min(took, _seconds_for(path), _seconds_for(path))
        if took > _TOO_MUCH * max(before, _LONG):
            raise Failure(f"{place}: {size} characters of {unit!r} take {took:.2f} s")
        before = took


def _seconds_for(path: Path) -> float:
    started = time.process_time()
    check_file(path, path.name, path.stat().st_size)
    return time.process_time() - started


def _header(name: str) -> Callable[[Path, str], Path]:
    return lambda folder, filled: make_wheel(folder, metadata={name: " ".join(filled.splitlines())})


def _headers(name: str) -> Callable[[Path, str], Path]:
    return lambda folder, filled: make_wheel(
        folder,
        metadata={name: [f"a{n}{' '.join(filled[:20].split())}" for n in range(len(filled) // 20)]},
    )


def _member(name: str) -> Callable[[Path, str], Path]:
    info = "sample-1.0.dist-info"
    return lambda folder, filled: make_wheel(
        folder, extra_files={f"{info}/{name}": filled.encode()}
    )


_PLACES: Mapping[str, Callable[[Path, str], Path]] = {
    **{
        name: _header(name)
        for name in (
            *("Summary", "Author-Email", "License-Expression", "License-File", "Keywords"),
            *("Classifier", "Project-URL", "Home-page", "Requires-Dist", "Provides-Extra"),
            *("Requires-Python", "Version", "Name", "Description-Content-Type", "Dynamic"),
        )
    },
    **{f"many {name}": _headers(name) for name in ("Classifier", "Requires-Dist", "Project-URL")},
    **{f"many {name}": _headers(name) for name in ("License-File", "Provides-Extra", "Dynamic")},
    "RECORD": _member("RECORD"),
    "entry_points.txt": _member("entry_points.txt"),
    "script": lambda folder, filled: make_wheel(
        folder,
        extra_files={
            "sample-1.0.dist-info/entry_points.txt": f"[console_scripts]\na = {filled}".encode()
        },
    ),
    "METADATA": _member("METADATA"),
}

TARGETS: Mapping[str, Callable[[random.Random, Ground], None]] = {
    "wheels": _wheel,
    "sdists": _sdist,
    "metadata": _metadata,
    "descriptions": _description,
    "names": _names,
    "texts": _texts,
    "sidecars": _sidecar,
    "provenance": _provenance,
    "answers": _answers,
    "growth": _growth,
}
