"""Attestations become Sigstore bundles and come back; what cannot be converted says why."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests
from pypi_attestations import Attestation
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier

from attested_publish.attestations.convert import DOCUMENT_LIMIT, FILE_LIMIT
from attested_publish.fronts import cli
from support.independent import judge
from support.makers import make_release
from support.releases import publisher_policy, staged
from support.sidecars import PUBLISH, SLSA, attestation, bundle, put, signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.rehearsal.world import World
    from support.releases import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("dist")
    make_release(folder)
    with staged(folder) as stage:
        yield stage


@pytest.fixture
def world(stage: Stage) -> World:
    return stage.world


@pytest.fixture
def wheel(stage: Stage) -> Path:
    return stage.folder / "sample-1.0-py3-none-any.whl"


def convert(*arguments: object) -> int:
    return cli.main(["convert", *(str(each) for each in arguments)])


def verified(world: World, text: str) -> dict[str, Any]:
    """Verify a bundle with sigstore alone, and return its statement."""
    root = ClientTrustConfig.from_json(world.trust_config).trusted_root
    policy = publisher_policy("octo-org/sample-project", "release.yml")
    _, payload = Verifier(trusted_root=root).verify_dsse(Bundle.from_json(text), policy)
    return json.loads(payload)


def test_an_attestation_becomes_a_bundle_and_comes_back(
    world: World, wheel: Path, tmp_path: Path
) -> None:
    source = put(world, wheel)
    made, back = tmp_path / "sample.sigstore.json", tmp_path / "back"
    assert convert(source, "--output", made) == 0
    assert verified(world, made.read_text())["predicateType"] == PUBLISH
    assert convert(made, "--output", back) == 0
    before = Attestation.model_validate_json(source.read_text())
    assert Attestation.model_validate_json(back.read_text()) == before


@pytest.mark.parametrize("predicate_type", [PUBLISH, SLSA])
def test_a_bundle_becomes_an_attestation_and_comes_back(
    world: World, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture, predicate_type: str
) -> None:
    before = bundle(world, wheel, predicate_type=predicate_type)
    source, made = tmp_path / "sample.sigstore.json", tmp_path / "sample.attestation"
    source.write_text(json.dumps(before))
    assert convert(source, "--to", "attestation", "--output", made) == 0
    capsys.readouterr()
    assert convert(made, "--to", "bundle") == 0
    after = json.loads(capsys.readouterr().out)
    for both in (before, after):
        # Without timestamps in it, the field may be there or not.
        both["verificationMaterial"].pop("timestampVerificationData", None)
    assert after == before


def test_an_independent_verifier_accepts_what_was_converted(
    world: World, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture, node_modules: Path
) -> None:
    assert convert(put(world, wheel)) == 0
    made = json.loads(capsys.readouterr().out)
    spoilt = json.loads(json.dumps(made))
    spoilt["dsseEnvelope"]["payload"] = "e30="
    good, bad = judge(node_modules, tmp_path, world.trusted_root, [made, spoilt])
    assert good["accepted"], good
    assert good["subject"].startswith("https://github.com/octo-org/sample-project/")
    assert not bad["accepted"]


def test_the_provenance_of_an_index_becomes_bundles(
    dist: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with staged(dist) as stage:
        wheel = dist / "sample-1.0-py3-none-any.whl"
        put(stage.world, wheel, ".slsa.attestation", predicate_type=SLSA)
        stage.run()
        url = stage.served()[wheel.name]["provenance"]
        served = tmp_path / "provenance.json"
        served.write_text(requests.get(url, timeout=10).text)
        assert convert(served) == 0
        lines = capsys.readouterr().out.splitlines()
        kinds = [verified(stage.world, line)["predicateType"] for line in lines]
        assert kinds == [PUBLISH, SLSA]
        # The lines are a file of bundles again.
        bundles = tmp_path / "bundles.intoto.jsonl"
        bundles.write_text("\n".join(lines))
        assert convert(bundles) == 0
        back = capsys.readouterr().out.splitlines()
        envelopes = [Attestation.model_validate_json(line).envelope for line in back]
        of_index = json.loads(served.read_text())["attestation_bundles"][0]["attestations"]
        assert envelopes == [Attestation.model_validate(each).envelope for each in of_index]


def two_files(world: World, wheel: Path) -> dict[str, Any]:
    return bundle(world, wheel, wheel.with_name("sample-1.0.tar.gz"))


def with_entry(made: dict[str, Any], **changed: object) -> dict[str, Any]:
    made["verificationMaterial"]["tlogEntries"][0].update(changed)
    return made


def spoilt(world: World, wheel: Path, **changed: object) -> dict[str, Any]:
    document = json.loads(attestation(world, wheel).model_dump_json())
    document["verification_material"].update(changed)
    return document


@pytest.mark.parametrize(
    "case",
    [
        (two_files, (), "about 2 files"),
        (lambda world, wheel: bundle(world, wheel, predicate_type="x"), (), "predicate type is x"),
        (signature, (), "without an in-toto statement"),
        (
            lambda world, wheel: with_entry(
                bundle(world, wheel), kindVersion={"kind": "hashedrekord", "version": "0.0.2"}
            ),
            (),
            "Rekor v1",
        ),
        (
            lambda world, wheel: with_entry(bundle(world, wheel), inclusionPromise=None),
            (),
            "with a promise",
        ),
        (
            lambda world, wheel: {**bundle(world, wheel), "mediaType": "application/x"},
            (),
            "mediaType",
        ),
        (bundle, ("--to", "bundle"), "already a Sigstore bundle"),
        (
            lambda world, wheel: json.loads(attestation(world, wheel).model_dump_json()),
            ("--to", "attestation"),
            "already a PEP 740 attestation",
        ),
        (lambda world, wheel: spoilt(world, wheel, certificate="bm8="), (), "cannot be read"),
        (lambda world, wheel: spoilt(world, wheel, transparency_entries=[]), (), "entries"),
        (
            lambda world, wheel: spoilt(world, wheel, transparency_entries=[{"logIndex": 1}]),
            (),
            "cannot be read",
        ),
        (lambda world, wheel: {"attestation_bundles": 1}, (), "not a PEP 740 provenance"),
        (lambda world, wheel: {"some": "thing"}, (), "neither a Sigstore bundle nor"),
    ],
)
def test_what_cannot_be_converted_says_why(
    world: World, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture, case: tuple
) -> None:
    make, options, why = case
    source, output = tmp_path / "it", tmp_path / "made"
    source.write_text(json.dumps(make(world, wheel)))
    assert convert(source, *options, "--output", output) == 1
    said = capsys.readouterr().err
    assert why in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither JSON"),
        (b"\xff\xfe", "neither JSON"),
        (b"[" * 1999, "neither JSON"),
        (b"[" * 200_000, "more than 2,000 values"),
        (b'{"a":[' + b"{}," * 800 + b"{}]}", "neither a Sigstore bundle nor"),
        (b'{"a":[' + b"{}," * 2000 + b"{}]}", "more than 2,000 values"),
        (b"{}\n" * 1001, "more than 1000 lines"),
        (b"{}\n[]\n", "not an object"),
        (b'{"a":"' + b"x" * DOCUMENT_LIMIT + b'"}', "more than 1 MiB"),
        (b"{}\n" + b'{"a":"' + b"x" * DOCUMENT_LIMIT + b'"}\n', "more than 1 MiB"),
        (b" " * (FILE_LIMIT + 1), "more than 4 MiB"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_something_else_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture, content: bytes | None, why: str
) -> None:
    source = tmp_path / "it"
    if content is not None:
        source.write_bytes(content)
    assert convert(source) == 1
    assert why in capsys.readouterr().err


def test_one_of_several_attestations_is_taken(
    world: World, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """cosign reads a file with one bundle."""
    made = [attestation(world, wheel, predicate_type=kind) for kind in (PUBLISH, SLSA)]
    publisher = {"kind": "GitHub", "repository": "o/r", "workflow": "r.yml"}
    for attestations, only, kinds in (
        (made, (), [PUBLISH, SLSA]),
        (made, ("--only", "publish"), [PUBLISH]),
        (made, ("--only", "slsa"), [SLSA]),
        (made[:1], ("--only", "slsa"), []),
        ([], (), []),
    ):
        bundles = [
            {"publisher": publisher, "attestations": [json.loads(each.model_dump_json())]}
            for each in attestations
        ]
        source = tmp_path / "provenance.json"
        source.write_text(json.dumps({"version": 1, "attestation_bundles": bundles}))
        assert convert(source, *only) == (0 if kinds else 1)
        out, err = capsys.readouterr()
        statements = [
            json.loads(base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"]))
            for line in out.splitlines()
        ]
        assert [each["predicateType"] for each in statements] == kinds
        assert ("It contains no" in err) is not bool(kinds)


def test_an_output_that_cannot_be_written_says_so(
    world: World, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert convert(put(world, wheel), "--output", tmp_path / "no" / "folder") == 1
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
def test_half_an_output_is_not_left(world: World, wheel: Path, tmp_path: Path) -> None:
    """As on a full disk; with a limit on files, the rest fails in the same way."""
    limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@"', "sh", sys.executable]
    made = tmp_path / "made.json"
    options = ["-m", "attested_publish", "convert", put(world, wheel), "--output", made]
    done = subprocess.run([*limited, *options], capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"could not be written" in done.stderr
    assert not made.exists()


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "attested_publish", "convert", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    for word in ("cosign", "--to", "--output", "PyPI could accept"):
        assert word in done.stdout
