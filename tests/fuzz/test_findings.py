"""What `make fuzz` has found, and whether it still works itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.attestations.convert import NotConvertible, read_attestation
from attested_publish.attestations.found import found_in
from attested_publish.attestations.verify import AttestationRefused, _verify_statement
from attested_publish.distributions import release_of
from attested_publish.identity.tokens import AmbientIdentity
from attested_publish.index.api_token import mint
from attested_publish.index.index import Index
from attested_publish.net.http import new_session
from attested_publish.problems import IdentityProblem, TokenProblem
from attested_publish.rehearsal.serving import Server
from attested_publish.rules.verdicts import Verdicts
from attested_publish.sandbox.pool import Sandbox
from support.makers import make_wheel
from support.paths import TESTS
from support.releases import SHORT

pytestmark = pytest.mark.sample(3)


MANY_TAGS = ".".join(f"p{number}" for number in range(300))
NESTS = ("(", ":", "(a", "](", "a:b", "a@(")


@pytest.mark.parametrize("nest", NESTS)
def test_an_address_that_is_nested_leaves_the_rest_judged(tmp_path: Path, nest: str) -> None:
    nested = nest * (8_000 // len(nest))
    # Newer Pythons do not look into brackets that are not closed, and then nothing is nested.
    address = nested + ")" * nested.count("(")
    wheel = make_wheel(tmp_path, metadata={"Author-Email": address, "Home-page": "ftp://x"})
    sandbox = Sandbox()
    try:
        found = Verdicts(sandbox).find(wheel, wheel.name, wheel.stat().st_size)
    finally:
        sandbox.close()
    by_rule = {one.rule: one.message for one in found}
    assert by_rule.keys() == {"email-invalid", "url-invalid"}
    assert "nested too deeply" in by_rule["email-invalid"]


@pytest.mark.parametrize("nest", ["(a or ", "("])
def test_a_nested_licence_is_invalid_and_no_want_of_memory(tmp_path: Path, nest: str) -> None:
    wheel = make_wheel(tmp_path, metadata={"License-Expression": nest * (16_000 // len(nest))})
    sandbox = Sandbox()
    try:
        (found,) = Verdicts(sandbox).find(wheel, wheel.name, wheel.stat().st_size)
    finally:
        sandbox.close()
    assert found.rule == "license-expression-invalid"
    assert "brackets are nested" in found.message


def test_a_licence_of_many_brackets_beside_each_other_is_fine(tmp_path: Path) -> None:
    many = " OR ".join(["(MIT AND (BSD-3-Clause OR ISC))"] * 200)
    wheel = make_wheel(tmp_path, metadata={"License-Expression": many})
    sandbox = Sandbox()
    try:
        assert Verdicts(sandbox).find(wheel, wheel.name, wheel.stat().st_size) == []
    finally:
        sandbox.close()


@pytest.mark.parametrize("unit", ['"', "> ", ";", "a;", "(a", "1. "])
def test_a_content_type_has_few_characters(tmp_path: Path, unit: str) -> None:
    sandbox = Sandbox()
    try:
        for size, rules in ((16_000, {"archive-not-judged"}), (480, {"content-type-invalid"})):
            wheel = make_wheel(
                tmp_path,
                metadata={
                    "Description-Content-Type": f"text/x; {unit * (size // len(unit))}".rstrip()
                },
            )
            started = time.monotonic()
            found = Verdicts(sandbox).find(wheel, wheel.name, wheel.stat().st_size)
            assert {one.rule for one in found} <= {*rules, "metadata-unreadable"}
            assert found
            assert time.monotonic() - started < 5
    finally:
        sandbox.close()


def test_the_tags_of_a_foreign_name_are_not_combined() -> None:
    """A project page may list names of any length."""
    started = time.process_time()
    project, version = release_of(f"sample-1.0-{MANY_TAGS}-{MANY_TAGS}-{MANY_TAGS}.whl")
    assert (project, str(version)) == ("sample", "1.0")
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("filename", "release"),
    [
        ("sample-1.0-py3-none-any.whl", ("sample", "1.0")),
        ("sample-1.0.1-2b-py2.py3-none-any.whl", ("sample", "1.0.1")),
        (
            "sample-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            ("sample", "1.0"),
        ),
        ("sample-1.0-cp312-cp312-win_amd64-x86_64.v3.whl", ("sample", "1.0")),
        ("sample-1.0-py3-none.whl", (None, "None")),
        ("sample-1.0.whl", (None, "None")),
    ],
)
def test_the_release_in_a_name_is_read_whatever_its_tags(
    filename: str, release: tuple[str | None, str]
) -> None:
    project, version = release_of(filename)
    assert (project, str(version)) == release


def test_the_tags_of_a_subject_are_not_combined() -> None:
    name = f"sample-1.0-{MANY_TAGS}-{MANY_TAGS}-{MANY_TAGS}.whl"
    statement = {
        "subject": [{"name": name, "digest": {"sha256": "a" * 64}}],
        "predicateType": "https://docs.pypi.org/attestations/publish/v1",
    }
    started = time.process_time()
    with pytest.raises(AttestationRefused, match="not about this file"):
        _verify_statement(json.dumps(statement).encode(), "sample-1.0-py3-none-any.whl", "a" * 64)
    assert time.process_time() - started < 0.5


@pytest.mark.sample(1)
@pytest.mark.parametrize("entry", [{"a": "\ud9c0"}, {"\ud9c0": 1}, {"a": [{"b": ["x\udfff"]}]}])
def test_half_a_surrogate_pair_is_no_text(tmp_path: Path, entry: dict[str, object]) -> None:
    """JSON may have one, escaped; what was read with it could not be written."""
    document = {
        "version": 1,
        "verification_material": {"certificate": "YQ==", "transparency_entries": [entry]},
        "envelope": {"statement": "YQ==", "signature": "YQ=="},
    }
    with pytest.raises(NotConvertible, match="surrogate pair"):
        read_attestation(document)
    path = tmp_path / "it.sigstore.json"
    path.write_text(json.dumps(document))
    sandbox = Sandbox()
    try:
        (found,) = found_in(path, sandbox)
    finally:
        sandbox.close()
    assert "surrogate pair" in found.why_not


def test_a_token_that_no_header_would_hold_is_no_token() -> None:
    """What is secret is looked for in every text: 1 MB took 9 s and 950 MB to prepare for."""
    masked: list[str] = []

    @Request.application
    def grant(request: Request) -> Response:
        return Response(json.dumps({"token": "x" * 1_000_000}), content_type="application/json")

    server = Server(grant)
    server.start()
    try:
        index = Index.at(f"{server.url}/legacy/")
        url = f"{server.url}/_/oidc/mint-token"
        with pytest.raises(TokenProblem, match="issued no API token") as caught:
            mint(index, url, "token", None, {}, session=new_session(), mask=masked.append)
    finally:
        server.stop()
    assert "1,000,000 characters" in caught.value.detail
    assert not caught.value.may_pass
    ambient = AmbientIdentity(lambda _: "x" * 1_000_000, SHORT.identity, masked.append, print)
    with pytest.raises(IdentityProblem) as caught_too:
        ambient.token("pypi")
    assert "1,000,000 characters" in caught_too.value.detail
    assert masked == []


@pytest.mark.slow
def test_the_fuzzer_itself_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "--seed", "1", "--cases", "2", "--seconds", "100"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 1," in done.stdout
    assert "0 failed" in done.stdout
    for name in ("wheels", "sdists", "metadata", "sidecars", "provenance", "answers"):
        assert f"\n{name}" in done.stdout


@pytest.mark.slow
def test_what_fails_is_told_with_the_line_that_repeats_it() -> None:
    broken = (
        "import sys; from fuzz import targets; from fuzz.__main__ import main\n"
        "def fail(chance, ground): raise targets.Failure('it has to be told')\n"
        "targets.TARGETS['names'] = fail\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", broken, "--seed", "1", "--cases", "2", "--target", "names"],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "FAILED names: it has to be told" in done.stdout
    assert "make fuzz SEED=1 TARGET=names CASE=1" in done.stdout
