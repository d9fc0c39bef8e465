"""Provenance is verified in a child process: several at a time, and each for itself."""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from attested_publish.consumer import prover as provers
from attested_publish.consumer.prover import Invalid, Prover
from attested_publish.consumer.verified_cache import Proven
from attested_publish.fronts import cli
from attested_publish.problems import SigningProblem
from support.dependencies import pylock
from support.filled import filled_world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.dependencies import Releases
    from support.filled import Filled

NAME = "sample-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    releases.publish("sample", "1.0")
    releases.publish("plain", "1.0", attested=False)


@pytest.fixture(scope="module")
def genuine(filled: Filled) -> tuple[Mapping[str, Any], str, str]:
    """A provenance, and the name and the digest of its file."""
    _, _, digests = filled.of("sample", "1.0")
    ((name, sha256),) = digests.items()
    url = filled.index_url.replace("/simple/", f"/integrity/sample/1.0/{name}/provenance")
    return requests.get(url, timeout=20).json(), name, sha256


@pytest.fixture
def prover(filled: Filled) -> Prover:
    return Prover(filled.trust.read_text(encoding="utf-8"))


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {"attestation_bundles": document}
    return document


def test_many_at_a_time_get_their_own_verdicts(
    prover: Prover, genuine: tuple[Mapping[str, Any], str, str]
) -> None:
    provenance, name, sha256 = genuine
    hostile = [{}, {"attestation_bundles": []}, {"version": "\ud800"}, nested(200), nested(900)]
    asked = [
        (provenance, name, sha256) if number % 3 else (hostile[number % 5], name, sha256)
        for number in range(100)
    ]
    with ThreadPoolExecutor(48) as threads:
        verdicts = list(threads.map(lambda each: prover(*each), asked))
    assert [isinstance(each, Proven) for each in verdicts] == [
        bool(number % 3) for number in range(100)
    ]
    assert all(each.why.endswith(".") for each in verdicts if isinstance(each, Invalid))


def test_what_cannot_even_be_passed_on_is_invalid(
    prover: Prover, genuine: tuple[Mapping[str, Any], str, str]
) -> None:
    assert "nested too deeply" in str(prover(nested(200_000), NAME, "0" * 64))
    assert isinstance(prover(*genuine), Proven)


def test_a_child_that_is_gone_is_replaced(
    prover: Prover, genuine: tuple[Mapping[str, Any], str, str]
) -> None:
    assert isinstance(prover(*genuine), Proven)
    for child in list(provers._sandbox()._all):
        os.kill(child._process.pid, signal.SIGKILL)
    assert isinstance(prover(*genuine), Proven)


def test_each_root_of_trust_is_its_own(
    prover: Prover, genuine: tuple[Mapping[str, Any], str, str], tmp_path: Path
) -> None:
    with filled_world(tmp_path, fill) as other:
        stranger = Prover(other.trust.read_text(encoding="utf-8"))
        for _ in range(2):
            assert isinstance(prover(*genuine), Proven)
            assert isinstance(stranger(*genuine), Invalid)


def test_its_thread_ends(prover: Prover, genuine: tuple[Mapping[str, Any], str, str]) -> None:
    assert isinstance(prover(*genuine), Proven)
    for thread in threading.enumerate():
        if thread.name == "prover":
            thread.join(5)
            assert not thread.is_alive()
    assert isinstance(prover(*genuine), Proven)


@pytest.mark.parametrize("root", ["{}", '{"mediaType": 1}', "[]"])
def test_a_root_that_cannot_be_used(root: str) -> None:
    with pytest.raises(SigningProblem, match="trust configuration cannot be used"):
        Prover(root)({}, NAME, "0" * 64)
    with pytest.raises(SigningProblem, match="trust configuration cannot be used"):
        Prover(root).check_root()


def test_it_is_looked_at_where_nothing_is_attested(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    lock = tmp_path / "pylock.toml"
    lock.write_text(pylock([filled.of("plain", "1.0")]), encoding="utf-8")
    bad = tmp_path / "trust.json"
    bad.write_text(json.dumps({"trustedRoot": {}}), encoding="utf-8")
    arguments = ("verify", "--lock", str(lock), "--index-url", filled.index_url)
    assert cli.main([*arguments, "--sigstore-trust-config", str(filled.trust)]) == 0
    assert cli.main([*arguments, "--sigstore-trust-config", str(bad)]) == 1
    assert "trust configuration cannot be used" in capsys.readouterr().out
