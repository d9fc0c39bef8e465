"""The embedded services: a job's token issuer, Sigstore and PyPI, each on a loopback port."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from sigstore.models import ClientTrustConfig

from attested_publish.identity.tokens import detect
from attested_publish.rehearsal.faults import Faults, faulty, index_endpoint
from attested_publish.rehearsal.history.filling import Filling
from attested_publish.rehearsal.history.model import History
from attested_publish.rehearsal.jobs import circleci, google
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.rehearsal.jobs.pretended import FIXED_AUDIENCES, GITHUB, Source, without_job
from attested_publish.rehearsal.private import make_folder, write_in_place, write_private
from attested_publish.rehearsal.pypi.app import Index
from attested_publish.rehearsal.request_log import record_nothing, recorded
from attested_publish.rehearsal.serving import LOOPBACK, Server, delayed, prove_loopback
from attested_publish.rehearsal.sigstore.fulcio import CERTIFICATES, CertificateAuthority
from attested_publish.rehearsal.sigstore.rekor import TransparencyLog
from attested_publish.rehearsal.sigstore.trust import client_trust_config, trusted_root

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from attested_publish.identity.tokens import Ambient
    from attested_publish.rehearsal.faults import Fault
    from attested_publish.rehearsal.jobs.pretended import Job
    from attested_publish.rehearsal.pypi.registry import Registry
    from attested_publish.rehearsal.request_log import Answered

STAGES = ("identity", "certificate", "log", "upload", "store", "index")
"""What can be slowed down: the names in `latency` of `World`."""

NO_HISTORY = History()


@dataclass(frozen=True)
class EmbeddedIndex:
    """An index at its port."""

    index: Index
    faults: Faults
    server: Server

    @property
    def url(self) -> str:
        """The root address."""
        return self.server.url

    @property
    def index_url(self) -> str:
        """Where packages are installed from."""
        return f"{self.url}/simple/"

    @property
    def upload_url(self) -> str:
        """Where distributions are uploaded to."""
        return f"{self.url}/legacy/"


@dataclass(frozen=True)
class _Doors:
    """Binds a loopback port for each service; `made` closes them, and the services."""

    made: contextlib.ExitStack
    latency: Mapping[str, float]
    record: Callable[[Answered], None]
    servers: list[Server] = field(default_factory=list)

    def open(
        self,
        app: WSGIApplication,
        stage_of: Callable[[WSGIEnvironment], str | None],
        endpoint_of: Callable[[WSGIEnvironment], str | None],
        faults: Faults,
        port: int = 0,
    ) -> Server:
        """Bind an application to a port, with its latency and faults, without starting it."""
        app = delayed(faulty(app, endpoint_of, faults), stage_of, self.latency, faults.pause)
        app = recorded(app, stage_of, endpoint_of, self.record)
        server = Server(app, port=port)
        self.made.callback(server.stop)
        self.servers.append(server)
        return server

    def open_index(
        self,
        index_of: Callable[..., Index],
        registry: Registry,
        faults: Faults,
        port: int = 0,
    ) -> EmbeddedIndex:
        """Bind the index with this registry and these faults to a port."""
        index = index_of(registry=registry, faults=faults)
        self.made.callback(index.close)
        server = self.open(index.app, _index_stage, index_endpoint, faults, port)
        # Called first: hanging answers would prevent the servers from stopping.
        self.made.callback(faults.stop)
        return EmbeddedIndex(index, faults, server)


class World:
    """All services that a release needs, with new keys; a context manager that runs them.

    `claims` are those of the simulated job, whose kind is `job`, `registry` has the publishers
    of the index, `port` is the port of the index (0: any free one). `latency` adds seconds to
    each answer, by the names in `STAGES`; those of ``store`` are added under the locks of a
    project. Which uploads the indexes end in a deadlock, where storage takes time, follows from
    `seed`. Identity tokens, API tokens and certificates are valid
    for `identity_lifetime` (by default, that of the job's kind), `token_lifetime` and
    `certificate_lifetime` seconds. The argument `faults` makes services fail, and later the
    attribute of that name. For each registry in `further` there is another index, with faults of
    its own; the attribute `further` has them in that order. `record` is told about every request
    that has a stage, and about the parts of every upload, when they have ended. The issuer signs
    with `issuer_key`, by default a new one: making it takes most of the time, so many worlds may
    share one. The index has the releases of the `history` from the beginning; `fill` adds another
    one.

    The addresses are known when the object is created; this raises `OSError` if `port` is in use,
    `NoLoopback` if there is no loopback interface, `ValueError` for an unknown stage.
    """

    def __init__(
        self,
        *,
        claims: Mapping[str, str],
        registry: Registry,
        job: Job = GITHUB,
        port: int = 0,
        latency: Mapping[str, float] = MappingProxyType({}),
        faults: Sequence[Fault] = (),
        identity_lifetime: float | None = None,
        token_lifetime: float = 900.0,
        certificate_lifetime: float = 600.0,
        further: Sequence[Registry] = (),
        issuer_key: RSAPrivateKey | None = None,
        seed: int = 1,
        record: Callable[[Answered], None] = record_nothing,
        history: History = NO_HISTORY,
    ) -> None:
        _check_stages(latency)
        prove_loopback()
        self.claims, self.faults = dict(claims), Faults(faults)
        self.issuer = Issuer(
            claims,
            name=job.issuer,
            token_lifetime=identity_lifetime or job.token_lifetime,
            has_token_ids=job.has_token_ids,
            key=issuer_key,
            faults=self.faults,
        )
        self.authority = CertificateAuthority(
            jwks=self.issuer.jwks, lifetime=certificate_lifetime, faults=self.faults
        )
        self.log = TransparencyLog(signer=LOOPBACK, faults=self.faults)

        with contextlib.ExitStack() as made:
            doors = _Doors(made, latency, record)
            issuer, authority, log = self._open_services(doors)
            self.trust_config, self.trusted_root, self.signing_config = _trust_texts(
                self.authority, self.log, ca_url=authority.url, log_url=log.url, oidc_url=issuer.url
            )
            index_of = partial(
                Index,
                jwks=self.issuer.jwks,
                issuer=job.issuer,
                trusted_root=ClientTrustConfig.from_json(self.trust_config).trusted_root,
                token_lifetime=token_lifetime,
                store_seconds=lambda: latency.get("store", 0.0),
                seed=seed,
                record=record,
            )
            self.further = tuple(doors.open_index(index_of, each, Faults()) for each in further)
            index = doors.open_index(index_of, registry, self.faults, port)
            self.index = index.index
            self.fill = Filling(self.index, self.authority, self.log)
            self.fill(history)
            self._servers, self._made = doors.servers, made.pop_all()

        self.index_url, self.upload_url = index.index_url, index.upload_url
        self._job, self._issuer_url = job, issuer.url
        self._program = self._write_program() if job.source is Source.PROGRAM else {}

    def _open_services(self, doors: _Doors) -> tuple[Server, Server, Server]:
        """Put the issuer and the two halves of Sigstore, authority and log, behind their ports."""
        issuer, authority, log = (
            doors.open(app, endpoint, endpoint, self.faults)
            for app, endpoint in (
                (self.issuer.app, partial(_only, {"/token", google.METADATA}, "identity")),
                (self.authority.app, partial(_only, CERTIFICATES, "certificate")),
                (self.log.app, partial(_only, {"/api/v1/log/entries"}, "log")),
            )
        )
        return issuer, authority, log

    @property
    def _request(self) -> tuple[str, str]:
        """The address where the job requests identity tokens, and the secret that it needs."""
        return self.issuer.request_url(self._issuer_url), self.issuer.request_token

    def _write_program(self) -> dict[str, str]:
        """Write the program that jobs ask, for as long as this lasts; return its `PATH`."""
        folder = tempfile.TemporaryDirectory(prefix="attested-publish-")
        path = Path(self._made.enter_context(folder))
        return circleci.write_program(path, *self._request)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a job; if they contain tokens, these are new each time."""
        return {**self._job.variables(self.claims), **self._ways_to_tokens()}

    @property
    def ambient(self) -> Ambient:
        """Where the pretended job gets its identity tokens, whatever job this process runs in."""
        if self._job.source is Source.METADATA:
            return partial(google.token_from, self._issuer_url)
        return partial(detect, environment={**without_job(os.environ), **self.environment})

    def _ways_to_tokens(self) -> dict[str, str]:
        match self._job.source:
            case Source.REQUEST:
                names = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
                return dict(zip(names, self._request, strict=True))
            case Source.VARIABLES:
                # The variables name the embedded GitLab; the tokens claim to be from the real one.
                return {"CI_SERVER_URL": self._issuer_url} | {
                    f"{audience.upper()}_ID_TOKEN": self.issuer.issue(audience)
                    for audience in FIXED_AUDIENCES
                }
            case Source.PROGRAM:
                return {"CIRCLE_BUILD_URL": f"{self._issuer_url}/jobs/1", **self._program}
            case Source.METADATA:
                return {}

    def __enter__(self) -> Self:
        for server in self._servers:
            server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all services and remove the files of the index; can be called twice."""
        self._made.close()

    def export(self, folder: Path) -> None:
        """Write what other programs need to use these services, and to act as the job.

        `trust_config.json`, its two parts `trusted_root.json` and `signing_config.json` (which
        some clients need separately), `jwks.json`, and, readable only by their owner,
        `issuer-key.pem` and `env.json`. Files and links with these names are replaced. Raises
        `OSError`, also if the folder itself is a link.
        """
        make_folder(folder)
        for name, text in (
            ("trust_config.json", self.trust_config),
            ("trusted_root.json", self.trusted_root),
            ("signing_config.json", self.signing_config),
            ("jwks.json", json.dumps(self.issuer.jwks(), indent=2)),
        ):
            write_in_place(folder / name, text.encode())
        write_private(folder / "issuer-key.pem", self.issuer.key_pem())
        environment = json.dumps(self.environment, indent=2)
        write_private(folder / "env.json", environment.encode())


def _trust_texts(
    authority: CertificateAuthority,
    log: TransparencyLog,
    *,
    ca_url: str,
    log_url: str,
    oidc_url: str,
) -> tuple[str, str, str]:
    """Return a ClientTrustConfig, and its two parts alone: trusted root and signing config."""
    root = trusted_root(
        ca_url=ca_url,
        ca_chain=authority.chain,
        ct_log=authority.ct_log,
        log_url=log_url,
        log=log.key,
    )
    config = client_trust_config(root, ca_url=ca_url, oidc_url=oidc_url, log_url=log_url)
    whole, signing = (json.dumps(part, indent=2) for part in (config, config["signingConfig"]))
    return whole, json.dumps(root, indent=2), signing


def _check_stages(latency: Mapping[str, float]) -> None:
    if unknown := sorted(latency.keys() - set(STAGES)):
        raise ValueError(f"There is no stage {unknown[0]!r}; choose from {', '.join(STAGES)}.")


def _only(paths: Collection[str], name: str, environ: WSGIEnvironment) -> str | None:
    return name if environ["PATH_INFO"] in paths else None


def _index_stage(environ: WSGIEnvironment) -> str:
    return "upload" if index_endpoint(environ) == "upload" else "index"
