"""What we use of our libraries without a promise of stability: a change in it fails here."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import twine.repository
from pypi_attestations import Attestation, AttestationError, Distribution, GitHubPublisher
from requests.adapters import HTTPAdapter
from sigstore.models import ClientTrustConfig
from sigstore.sign import SigningContext
from twine.commands.upload import upload as twine_upload

from attested_publish.attestations.verify import (
    AttestationRefused,
    load_trust,
    verify_attestation,
)
from attested_publish.distributions import stage as stage_files
from attested_publish.net.http import BoundedAdapter
from support.releases import publisher_policy, sign

if TYPE_CHECKING:
    from collections.abc import Callable

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
    with stage_files([stage.folder]) as files:
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
            Distribution(name=values["filename"], digest=values["sha256"]),
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


def test_the_policy_is_still_made_by_the_publisher() -> None:
    policy = GitHubPublisher(repository="o/r", workflow="w.yml")._as_policy()
    assert callable(policy.verify)


def test_sigstore_s_sessions_are_where_we_limit_their_time(stage: Stage) -> None:
    trust = load_trust(stage.world.trust_config)
    with stage_files([stage.folder]) as files:
        sign(stage, files.distributions, trust)
    fulcio = trust.signing._fulcio.session
    assert isinstance(fulcio.get_adapter("https://fulcio.example"), BoundedAdapter)
    config = ClientTrustConfig.from_json(stage.world.trust_config)
    config.force_tlog_version = 1
    context = SigningContext.from_trust_config(config)
    assert isinstance(context._rekor._session.get_adapter("https://x"), HTTPAdapter)
    assert context._rekor._session is context._rekor._session, "one a thread, kept"


def test_no_timestamp_authority_is_asked(stage: Stage) -> None:
    """PEP 740 has no field for its answer; sigstore asks every one that a config names."""
    config = json.loads(stage.world.trust_config)
    service = config["signingConfig"]["rekorTlogUrls"][0]
    config["signingConfig"]["tsaUrls"] = [{**service, "url": "http://127.0.0.1:9/timestamp"}]
    config["signingConfig"]["tsaConfig"] = {"selector": "ANY"}
    assert ClientTrustConfig.from_json(json.dumps(config)).signing_config.get_tsas()
    trust = load_trust(json.dumps(config))
    assert not trust.signing._tsa_clients
    with stage_files([stage.folder]) as files:
        assert len(sign(stage, files.distributions, trust)) == 2


def test_twine_still_uploads_the_way_we_call_it() -> None:
    """`twine upload` makes a package, adds attestations, and has a repository upload it."""
    source = inspect.getsource(twine_upload)
    assert "_make_package(" in source
    assert "upload_settings.create_repository()" in source
    assert "repository.upload(package)" in source
    assert inspect.signature(twine.repository.Repository.upload).parameters.keys() == {
        *("self", "package", "max_redirects")
    }
    repository = inspect.getsource(twine.repository.Repository)
    assert "allow_redirects=False" in repository
    assert twine.__version__ == "7.0.0"
