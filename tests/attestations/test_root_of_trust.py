"""Sigstore's root of trust, as sigstore loads it: nothing that is planted in its cache counts."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from sigstore.models import ClientTrustConfig
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    import pytest
    from cryptography.x509 import Certificate

TARGETS = {"trusted_root.json": "trustedRoot", "signing_config.v0.2.json": "signingConfig"}


def new_world() -> World:
    return World(claims=job_claims({}, {}), registry=Registry.open())


def authorities(config: ClientTrustConfig) -> list[Certificate]:
    return config.trusted_root.get_fulcio_certs()


def repository(folder: Path, world: World) -> Path:
    """Write a TUF repository whose targets are the parts of a world's trust config."""
    signer = CryptoSigner.generate_ed25519()
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    config = json.loads(world.trust_config)
    (folder / "targets").mkdir(parents=True)
    files = {}
    for name, part in TARGETS.items():
        files[name] = TargetFile.from_data(name, json.dumps(config[part]).encode())
        (folder / "targets" / name).write_text(json.dumps(config[part]))
    root = Root(expires=expires, consistent_snapshot=False)
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.add_key(signer.public_key, role)
    for name, content in {
        "1.root": root,
        "timestamp": Timestamp(expires=expires, snapshot_meta=MetaFile()),
        "snapshot": Snapshot(expires=expires, meta={"targets.json": MetaFile()}),
        "targets": Targets(expires=expires, targets=files),
    }.items():
        metadata = Metadata(content)
        metadata.sign(signer)
        metadata.to_file(str(folder / f"{name}.json"))
    return folder / "1.root.json"


def test_what_is_planted_in_the_cache_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with new_world() as genuine, new_world() as evil:
        first_root = repository(tmp_path / "genuine", genuine)
        repository(tmp_path / "evil", evil)

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = tmp_path / "genuine" / environ["PATH_INFO"].lstrip("/")
        start("200 OK" if path.is_file() else "404 Not Found", [("Content-Type", "text/plain")])
        return [path.read_bytes() if path.is_file() else b""]

    with serving(app) as server:
        address = server.url
        metadata, targets = (
            tmp_path / place / "sigstore-python" / "tuf" / quote(address, safe="")
            for place in ("data", "cache")
        )
        # A whole repository, with which everything is in order except for who has signed it.
        (metadata / "root_history").mkdir(parents=True)
        for path in (tmp_path / "evil").glob("*.json"):
            shutil.copy(path, metadata)
        shutil.copy(tmp_path / "evil/1.root.json", metadata / "root.json")
        shutil.copy(tmp_path / "evil/1.root.json", metadata / "root_history")
        shutil.copytree(tmp_path / "evil/targets", targets)
        planted = ClientTrustConfig.from_tuf(address, offline=True)
        loaded = ClientTrustConfig.from_tuf(address, bootstrap_root=first_root)
    # Without the network, sigstore believes its cache; but nothing here loads it so.
    assert authorities(planted) == authorities(ClientTrustConfig.from_json(evil.trust_config))
    assert authorities(loaded) == authorities(ClientTrustConfig.from_json(genuine.trust_config))
