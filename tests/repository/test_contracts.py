"""What we use of our libraries without a promise of stability: a change in it fails here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from pypi_attestations import Attestation, AttestationError, GitHubPublisher
from pypi_attestations import Distribution as AttestedDistribution
from sigstore.models import ClientTrustConfig
from werkzeug.wrappers import Request, Response

from attested_publish.attestations.sign import Signing
from attested_publish.attestations.verify import (
    AttestationRefused,
    certificate_of,
    load_trust,
    log_index,
    verify_attestation,
)
from attested_publish.consumer.prover import Prover
from attested_publish.distributions import copy_privately
from attested_publish.identity.tokens import AmbientIdentity
from attested_publish.index.contents import New
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.index import Index
from attested_publish.index.upload import Delivery, upload
from attested_publish.problems import SigningProblem, UploadProblem
from attested_publish.rehearsal.serving import Server
from attested_publish.sandbox.pool import shared_sandbox
from support.paths import ROOT
from support.releases import SHORT, publish_statements, publisher_policy, sign, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from attested_publish.distributions import Distribution
    from support.releases import Stage

TUF = "https://tuf-repo-cdn.sigstore.dev"


def changed(attestation: Attestation, **fields: object) -> Attestation:
    document = json.loads(attestation.model_dump_json())
    for path, value in fields.items():
        place = document
        *parents, last = path.split("__")
        for parent in parents:
            place = place[int(parent) if parent.isdecimal() else parent]
        place[last] = value
    return Attestation.model_validate(document)


CASES: dict[str, tuple[Callable[[Attestation], Attestation], dict[str, str]]] = {
    "as it is": (lambda good: good, {}),
    "another project": (lambda good: good, {"filename": "other-1.0-py3-none-any.whl"}),
    "another version": (lambda good: good, {"filename": "sample-1.1-py3-none-any.whl"}),
    "equal version": (lambda good: good, {"filename": "sample-1.0.0-py3-none-any.whl"}),
    "other case": (lambda good: good, {"filename": "Sample-1.0-py3-none-any.whl"}),
    "sdist": (lambda good: good, {"filename": "sample-1.0.tar.gz"}),
    "other bytes": (lambda good: good, {"sha256": "f" * 64}),
    "another repository": (lambda good: good, {"repository": "octo-org/other"}),
    "another workflow": (lambda good: good, {"workflow": "other.yml"}),
    "another statement": (lambda good: changed(good, envelope__statement="e30="), {}),
    "no signature": (lambda good: changed(good, envelope__signature=""), {}),
    "no certificate": (lambda good: changed(good, verification_material__certificate=""), {}),
    "an empty entry": (
        lambda good: changed(good, verification_material__transparency_entries=[{}]),
        {},
    ),
    "another time": (
        lambda good: changed(
            good,
            verification_material__transparency_entries=[
                {
                    **good.verification_material.transparency_entries[0],
                    "integratedTime": "1700000000",
                }
            ],
        ),
        {},
    ),
    "no promise": (
        lambda good: changed(
            good,
            verification_material__transparency_entries=[
                {
                    name: value
                    for name, value in good.verification_material.transparency_entries[0].items()
                    if name != "inclusionPromise"
                }
            ],
        ),
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_our_verification_agrees_with_pypi_attestations(
    stage: Stage, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Attestation.verify` is what PyPI calls; its trust root comes from sigstore's TUF cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    cache = tmp_path / "cache" / "sigstore-python" / "tuf" / quote(TUF, safe="")
    cache.mkdir(parents=True)
    config = json.loads(stage.world.trust_config)
    (cache / "trusted_root.json").write_text(json.dumps(config["trustedRoot"]))
    (cache / "signing_config.v0.2.json").write_text(json.dumps(config["signingConfig"]))
    trust = load_trust(stage.world.trust_config)
    with copy_privately([stage.folder]) as files:
        attestations = sign(stage, files.distributions, trust)
        (wheel,) = (each for each in files.distributions if each.filename.endswith(".whl"))
    change, other = CASES[case]
    attestation = change(attestations[wheel.filename])
    values = {
        "filename": wheel.filename,
        "sha256": wheel.sha256,
        "repository": "octo-org/sample-project",
        "workflow": "release.yml",
        **other,
    }
    theirs = ours = True
    try:
        attestation.verify(
            GitHubPublisher(repository=values["repository"], workflow=values["workflow"]),
            AttestedDistribution(name=values["filename"], digest=values["sha256"]),
            offline=True,
        )
    except (AttestationError, ValueError) as error:
        # PyPI catches everything: it answers other errors than these with the same status.
        theirs = False
        said = str(error)
    except Exception as error:  # noqa: BLE001
        theirs = False
        said = str(error)
    else:
        said = "it verifies"
    try:
        verify_attestation(
            attestation,
            filename=values["filename"],
            sha256=values["sha256"],
            policy=publisher_policy(values["repository"], values["workflow"]),
            verifier=trust.verifier,
        )
    except AttestationRefused:
        ours = False
    assert ours == theirs, said
    assert ours == (case in {"as it is", "equal version", "other case"})


def test_a_certificate_of_another_workflow_is_refused_in_readable_words(stage: Stage) -> None:
    """pypi-attestations prints the object that the library has for an extension."""
    trust = load_trust(stage.world.trust_config)
    with copy_privately([stage.folder]) as files:
        signed = sign(stage, files.distributions, trust)
        first = files.distributions[0]
    with pytest.raises(AttestationRefused) as caught:
        verify_attestation(
            signed[first.filename],
            filename=first.filename,
            sha256=first.sha256,
            policy=publisher_policy("octo-org/sample-project", "other.yml"),
            verifier=trust.verifier,
        )
    assert "(https://github.com/octo-org/sample-project/.github/workflows/" in str(caught.value)
    assert "<Extension" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["certificate", "log"])
def test_sigstore_s_clients_answer_within_our_bounds(stage: Stage, endpoint: str) -> None:
    """A byte now and then: sigstore sets no time limits, and one for silence would not do."""
    stage.fault(f"{endpoint}=trickle:0.2")
    started = time.monotonic()
    with (
        copy_privately([stage.folder]) as files,
        pytest.raises(SigningProblem) as caught,
    ):
        sign(stage, files.distributions, load_trust(stage.world.trust_config))
    assert "in time" in caught.value.detail
    assert time.monotonic() - started < 3 * SHORT.log.seconds


def test_a_certificate_that_ended_before_it_was_used_is_replaced(dist: Path) -> None:
    """Its dates are known from the first signature only: sigstore says that it has ended."""
    told: list[str] = []
    with staged(dist, certificate_lifetime=2) as stage, copy_privately([dist]) as files:
        ambient = AmbientIdentity(
            stage.world.issuer.issue, SHORT.identity, lambda _: None, lambda _: None
        )
        signing = Signing(load_trust(stage.world.trust_config), ambient, SHORT, told.append)
        time.sleep(3.5)
        assert len(signing.sign_all(publish_statements(files.distributions), lambda *_: None)) == 2
    assert told, "nothing had ended"


def test_a_certificate_is_renewed_by_the_dates_in_the_first_attestation(dist: Path) -> None:
    with staged(dist, certificate_lifetime=5) as stage, copy_privately([dist]) as files:
        ambient = AmbientIdentity(
            stage.world.issuer.issue, SHORT.identity, lambda _: None, lambda _: None
        )
        told: list[str] = []
        signing = Signing(load_trust(stage.world.trust_config), ambient, SHORT, told.append)
        statements = publish_statements(files.distributions[:1])
        first, second = (
            certificate_of(signing.sign_all(statements, lambda *_: None).popitem()[1][0])
            for _ in signed_apart(4.2)
        )
    assert first.serial_number != second.serial_number
    assert told == [], "it had not ended"


def signed_apart(seconds: float) -> Iterator[None]:
    """Two moments, so many seconds apart."""
    yield
    time.sleep(seconds)
    yield


def test_a_log_of_version_2_is_passed_by(stage: Stage) -> None:
    """sigstore takes the newest version that a config has of an operator."""
    config = json.loads(stage.world.trust_config)
    (service,) = config["signingConfig"]["rekorTlogUrls"]
    with recording(Response("", 500)) as newer:
        config["signingConfig"]["rekorTlogUrls"].append(
            {**service, "url": newer.url, "majorApiVersion": 2}
        )
        with copy_privately([stage.folder]) as files:
            signed = sign(stage, files.distributions, load_trust(json.dumps(config)))
        assert newer.requests == []
    assert {log_index(attestation) for attestation in signed.values()} == {1, 2}


def test_no_timestamp_authority_is_asked(stage: Stage) -> None:
    """PEP 740 has no field for its answer; sigstore asks every one that a config names."""
    config = json.loads(stage.world.trust_config)
    service = config["signingConfig"]["rekorTlogUrls"][0]
    with recording() as authority:
        config["signingConfig"]["tsaUrls"] = [{**service, "url": f"{authority.url}/timestamp"}]
        config["signingConfig"]["tsaConfig"] = {"selector": "ANY"}
        assert ClientTrustConfig.from_json(json.dumps(config)).signing_config.get_tsas()
        with copy_privately([stage.folder]) as files:
            assert len(sign(stage, files.distributions, load_trust(json.dumps(config)))) == 2
        assert authority.requests == []


@dataclass
class Recorder:
    """Takes down what it is asked, and answers one thing after the other, the last for good."""

    answers: list[Response] = field(default_factory=lambda: [Response("")])
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with Request(environ) as request:
            self.requests.append(
                {
                    "path": request.path,
                    "headers": {
                        name: request.headers.get(name)
                        for name in ("Authorization", "User-Agent", "Accept")
                    },
                    "fields": sorted(request.form.items(multi=True)),
                    "files": {
                        name: (file.filename, file.mimetype, file.read())
                        for name, file in request.files.items(multi=True)
                    },
                }
            )
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return answer(environ, start_response)


@contextlib.contextmanager
def recording(*answers: Response) -> Iterator[Recorder]:
    recorder = Recorder(list(answers) or [Response("")])
    server = Server(recorder)
    recorder.url = server.url
    server.start()
    try:
        yield recorder
    finally:
        server.stop()


def upload_to(
    recorder: Recorder,
    distributions: Sequence[Distribution],
    attestations: Mapping[str, Sequence[Path]],
    is_there: Callable[[Distribution], bool] = lambda _: False,
) -> None:
    upload(
        distributions,
        attestations,
        Delivery(
            index=Index.at(f"{recorder.url}/legacy/"),
            credentials=GivenCredentials("__token__", "pypi-of-nobody"),
            parallel=1,
            skip_existing=False,
            deadlines=SHORT,
            is_there=is_there,
            tell=lambda _: None,
            sandbox=shared_sandbox(),
        ),
        new=New(),
        begun=lambda _: None,
        done=lambda *_: None,
    )


def test_an_upload_is_what_twine_upload_sends(
    stage: Stage, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with copy_privately([stage.folder]) as files, recording() as index:
        attestations: dict[str, list[Path]] = {}
        for name, made in sign(
            stage, files.distributions, load_trust(stage.world.trust_config)
        ).items():
            path = tmp_path / f"{name}.publish.attestation"
            path.write_text(made.model_dump_json())
            attestations[name] = [path]
        upload_to(index, files.distributions, attestations)
        sent = index.requests.copy()
        assert capfd.readouterr() == ("", ""), "a reporter has the only word"
        index.requests.clear()
        subprocess.run(
            [
                *(sys.executable, "-I", "-m", "twine", "upload", "--attestations"),
                *("--non-interactive", "--repository-url", f"{index.url}/legacy/"),
                *(path for paths in attestations.values() for path in paths),
                *(each.path for each in files.distributions),
            ],
            env={
                **os.environ,
                "TWINE_USERNAME": "__token__",
                "TWINE_PASSWORD": "pypi-of-nobody",
                "HOME": str(tmp_path),
                "NO_PROXY": "127.0.0.1",
            },
            check=True,
            capture_output=True,
            timeout=60,
        )
    assert len(sent) == 2
    assert by_filename(sent) == by_filename(index.requests)


def by_filename(requests: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["files"]["content"][0]: each for each in requests}


def test_twine_follows_no_redirect(dist: Path) -> None:
    there = Response("", 307, headers={"Location": "/elsewhere/"})
    with copy_privately([dist]) as files, recording(there) as index:
        with pytest.raises(UploadProblem, match="redirects uploads"):
            upload_to(index, files.distributions[:1], {})
        assert [each["path"] for each in index.requests] == ["/legacy/"]


def test_twine_sends_once_before_the_index_is_asked_again(dist: Path) -> None:
    asked_after: list[int] = []
    with copy_privately([dist]) as files, recording(Response("", 503), Response("")) as index:

        def is_there(_: Distribution) -> bool:
            asked_after.append(len(index.requests))
            return False

        upload_to(index, files.distributions[:1], {}, is_there)
        assert len(index.requests) == 2
    assert asked_after == [1]


def private_parts() -> str:
    """The section of docs/development.md that lists them."""
    page = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    return page.partition("## Libraries without a promise\n")[2].partition("\n## ")[0]


def test_every_private_part_is_on_the_page() -> None:
    sources = ROOT / "src" / "attested_publish"
    using = {
        path.relative_to(sources).as_posix()
        for path in sources.rglob("*.py")
        if re.search(r"SLF001|ignore\[attr-defined\]", path.read_text(encoding="utf-8"))
    }
    listed = set(re.findall(r"^\|.*\| `(\S+\.py)` \|", private_parts(), re.MULTILINE))
    assert using <= listed
    assert [path for path in listed if not (sources / path).is_file()] == []


def test_every_test_on_the_page_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    named = re.findall(r"`(test_\w+)`", private_parts())
    assert named
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_a_root_of_trust_survives_its_way_to_the_child(tmp_path: Path) -> None:
    """What is read from the JSON of a root is that root, and the cache's rules follow it."""
    rules = []
    for number in range(2):
        with staged(tmp_path / str(number)) as stage:
            trust = load_trust(stage.world.trust_config)
            text = str(trust.config._inner.to_json())
            again = load_trust(text)
            assert again.config._inner == trust.config._inner
            assert again.config.signing_config.get_tlogs()
            assert Prover(text).rules == Prover(text).rules
            rules.append(Prover(text).rules)
    assert rules[0] != rules[1]
