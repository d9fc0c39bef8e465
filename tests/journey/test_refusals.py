"""What is refused, by whom, and what the user reads: nothing reaches the index."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from attested_publish.attestations.verify import (
    AttestationRefused,
    load_trust,
    policy_for,
    verify,
    verify_attestation,
)
from attested_publish.distributions import copy_privately
from attested_publish.identity.tokens import understand
from attested_publish.index.api_token import mint
from attested_publish.index.contents import New
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.discovery import usual_exchange
from attested_publish.index.index import Index
from attested_publish.index.upload import Delivery, upload
from attested_publish.net.http import new_session
from attested_publish.problems import TokenRefused, UploadRefused, VerificationProblem
from attested_publish.sandbox.pool import shared_sandbox
from support.makers import make_wheel
from support.releases import SHORT, problem, publisher_policy, sign, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypi_attestations import Attestation

    from attested_publish.attestations.verify import Trust
    from attested_publish.distributions import Distribution
    from support.releases import Stage


@pytest.mark.parametrize(
    ("fault", "stage_name", "words"),
    [
        ("certificate=sct", "signatures", ["SCT"]),
        ("log=proof", "verification", ["inclusion proof"]),
        ("log=checkpoint", "verification", ["checkpoint"]),
        ("log=timestamp", "verification", ["inclusion promise"]),
        ("log=time", "verification", ["valid"]),
        ("log=signature", "verification", ["signature"]),
        ("certificate=repository", "verification", ["OIDCSourceRepositoryURI"]),
        ("certificate=workflow", "verification", ["Build Config URI"]),
        ("identity=expired", "token", ["invalid-token"]),
    ],
)
def test_what_a_broken_sigstore_gives_never_reaches_the_index(
    stage: Stage, fault: str, stage_name: str, words: list[str]
) -> None:
    stage.fault(fault)
    report = stage.run()
    assert report.result != "done"
    assert report.problems[0].stage == stage_name, problem(report)
    for word in words:
        assert word.lower() in problem(report).lower()
    assert not stage.served()
    assert all(token.is_revoked for token in stage.world.index.issued_tokens)
    assert "Traceback" not in stage.printed


@dataclasses.dataclass
class Signed:
    distributions: tuple[Distribution, ...]
    attestations: dict[str, Attestation]
    trust: Trust
    stage: Stage

    def verify(self, attestation: Attestation, **other: str) -> str:
        (wheel,) = (each for each in self.distributions if each.filename.endswith(".whl"))
        values = {
            "filename": wheel.filename,
            "sha256": wheel.sha256,
            "repository": "octo-org/sample-project",
            "workflow": "release.yml",
            **other,
        }
        return verify_attestation(
            attestation,
            filename=values["filename"],
            sha256=values["sha256"],
            policy=publisher_policy(values["repository"], values["workflow"]),
            verifier=self.trust.verifier,
        )

    @property
    def wheel(self) -> Attestation:
        return self.attestations["sample-1.0-py3-none-any.whl"]

    @property
    def sdist(self) -> Attestation:
        return self.attestations["sample-1.0.tar.gz"]


@pytest.fixture
def signed(stage: Stage) -> Iterator[Signed]:
    with copy_privately([stage.folder]) as files:
        trust = load_trust(stage.world.trust_config)
        made = sign(stage, files.distributions, trust)
        yield Signed(files.distributions, made, trust, stage)


def test_a_good_attestation_verifies(signed: Signed) -> None:
    assert signed.verify(signed.wheel) == "https://docs.pypi.org/attestations/publish/v1"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"filename": "sample-1.1-py3-none-any.whl"}, "not about this file"),
        ({"filename": "another-1.0-py3-none-any.whl"}, "not about this file"),
        ({"sha256": "0" * 64}, "other bytes"),
        ({"repository": "octo-org/another"}, "OIDCSourceRepositoryURI"),
        ({"repository": "Octo-Org/sample-project"}, "OIDCSourceRepositoryURI"),
        ({"workflow": "another.yml"}, "Build Config URI"),
    ],
)
def test_an_attestation_for_something_else_is_refused(
    signed: Signed, other: dict[str, str], words: str
) -> None:
    with pytest.raises(AttestationRefused, match=words):
        signed.verify(signed.wheel, **other)


def test_the_attestation_of_another_file_is_refused(signed: Signed) -> None:
    with pytest.raises(AttestationRefused, match="not about this file"):
        signed.verify(signed.sdist)


def test_a_changed_statement_is_refused(signed: Signed) -> None:
    statement = signed.wheel.envelope.statement.replace(b"sample-1.0", b"sample-6.6")
    envelope = signed.wheel.envelope.model_copy(update={"statement": statement})
    with pytest.raises(AttestationRefused, match="signature"):
        signed.verify(signed.wheel.model_copy(update={"envelope": envelope}))


def test_a_foreign_signature_is_refused(signed: Signed) -> None:
    foreign = signed.sdist.envelope.signature
    envelope = signed.wheel.envelope.model_copy(update={"signature": foreign})
    with pytest.raises(AttestationRefused, match="signature"):
        signed.verify(signed.wheel.model_copy(update={"envelope": envelope}))


def test_the_certificate_of_another_world_is_refused(signed: Signed, dist: Path) -> None:
    with staged(dist) as elsewhere:
        foreign = load_trust(elsewhere.world.trust_config)
    stranger = dataclasses.replace(signed, trust=foreign)
    with pytest.raises(AttestationRefused, match="certificate"):
        stranger.verify(stranger.wheel)


def test_swapped_attestations_stop_the_release(signed: Signed) -> None:
    others = [[each] for each in reversed(signed.attestations.values())]
    swapped = dict(zip(signed.attestations, others, strict=True))
    publisher = understand(signed.stage.world.issuer.issue("sigstore")).publisher
    with pytest.raises(VerificationProblem) as caught:
        verify(signed.distributions, swapped, policy_for(publisher), signed.trust)
    assert "not about this file" in caught.value.detail


def test_a_used_identity_token_is_told_apart(stage: Stage) -> None:
    index = Index.at(stage.world.upload_url)
    token = stage.world.issuer.issue("pypi")
    identity = understand(token)
    url = usual_exchange(index).mint_url
    with new_session() as session:
        mint(index, url, token, identity.publisher, {}, session=session, mask=lambda _: None)
        with pytest.raises(TokenRefused) as caught:
            mint(index, url, token, identity.publisher, {}, session=session, mask=lambda _: None)
    assert "invalid-reuse-token" in caught.value.detail
    assert token not in caught.value.detail


def test_an_expired_api_token_is_told_apart(dist: Path) -> None:
    with staged(dist, token_lifetime=-1.0) as stage:
        report = stage.run()
        assert report.result == "refused"
        assert "token is expired" in problem(report)
        assert "new token" in problem(report)
        assert not stage.served()


def test_a_tampered_attestation_is_refused_by_the_index_too(signed: Signed, tmp_path: Path) -> None:
    """Were our own verification bypassed, the index would still say no, and be quoted."""
    index = Index.at(signed.stage.world.upload_url)
    files = {}
    for name in signed.attestations:
        path = tmp_path / f"{name}.publish.attestation"
        path.write_text(signed.wheel.model_dump_json())
        files[name] = [path]
    identity = signed.stage.world.issuer.issue("pypi")
    with new_session() as session:
        token = mint(
            index,
            usual_exchange(index).mint_url,
            identity,
            understand(identity).publisher,
            {},
            session=session,
            mask=lambda _: None,
        )
    (sdist,) = (each for each in signed.distributions if each.filename.endswith(".tar.gz"))
    with pytest.raises(UploadRefused) as caught:
        upload(
            [sdist],
            files,
            Delivery(
                index=index,
                credentials=GivenCredentials("__token__", token.value),
                parallel=1,
                skip_existing=False,
                deadlines=SHORT,
                is_there=lambda _: False,
                tell=lambda _: None,
                sandbox=shared_sandbox(),
            ),
            new=New(),
            begun=lambda _: None,
            done=lambda *_: None,
        )
    assert "attestation" in caught.value.detail.lower()
    assert not signed.stage.served()


def test_after_a_refusal_no_new_upload_is_started(dist: Path) -> None:
    make_wheel(dist, tag="cp312-cp312-win_amd64")
    with staged(dist) as stage:
        stage.fault("upload=403*1")
        report = stage.run()
        assert report.result == "refused"
        assert not stage.served()
        assert "uploaded nothing" in problem(report)
        assert sorted(file.status.value for file in report.files.values()) == [
            "not-attempted",
            "not-attempted",
            "refused",
        ]


def test_what_is_public_already_is_named(dist: Path) -> None:
    make_wheel(dist, tag="cp312-cp312-win_amd64")
    with staged(dist) as stage:
        stage.world.index.delete_file("sample-1.0.tar.gz")
        report = stage.run()
        assert report.result == "refused"
        assert report.problems[0].file == "sample-1.0.tar.gz"
        for name in stage.served():
            assert name in problem(report)
        assert len(stage.served()) == 2
