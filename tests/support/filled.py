"""An index with the releases of several publishers, and the command that verifies locks on it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attested_publish.fronts import cli
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.serving import Server
from attested_publish.rehearsal.world import World
from support.dependencies import Proxy, Releases
from support.keys import issuer_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Entry = tuple[str, str, "Mapping[str, str]"]
_NAMES = {"lock": "pylock.toml", "against": "pylock.old.toml", "policy": "publishers.toml"}


@dataclass
class Filled:
    """An index behind a proxy that can change its answers."""

    world: World
    releases: Releases
    proxy: Proxy
    index_url: str
    trust: Path

    def of(self, name: str, version: str) -> Entry:
        """Give what a lock says of a release: name, version, and digests by filename."""
        return name, version, self.releases.files_of(name, version)

    @property
    def options(self) -> list[str]:
        """The options of `verify` for this index."""
        return ["--index-url", self.index_url, "--sigstore-trust-config", str(self.trust)]

    def verify(self, folder: Path, *options: object, **texts: str) -> tuple[int, dict[str, Any]]:
        """Write texts to files, and give them to the options of the same names."""
        report = folder / "report.json"
        arguments = ["verify", *self.options, "--report", str(report)]
        for name, text in texts.items():
            path = folder / _NAMES[name]
            path.write_text(text, encoding="utf-8")
            arguments += [f"--{name}", str(path)]
        status = cli.main([*arguments, *map(str, options)])
        return status, json.loads(report.read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def changed(self) -> Iterator[Proxy]:
        """Let answers be changed, and requests be counted, until the end of the block."""
        self.proxy.requests.clear()
        try:
            yield self.proxy
        finally:
            self.proxy.changes.clear()
            self.proxy.requests.clear()


@contextlib.contextmanager
def filled_world(folder: Path, fill: Callable[[Releases], None]) -> Iterator[Filled]:
    """Serve an index that `fill` has published to."""
    with World(
        claims=job_claims({}, {}), registry=Registry.open(), issuer_key=issuer_key()
    ) as world:
        releases = Releases(world)
        fill(releases)
        trust = folder / "trust_config.json"
        trust.write_text(world.trust_config)
        proxy = Proxy(world.index.app)
        server = Server(proxy)
        server.start()
        try:
            yield Filled(world, releases, proxy, f"{server.url}/simple/", trust)
        finally:
            server.stop()


def rules(report: dict[str, Any]) -> dict[str, set[str]]:
    """Give the rules of what was found, by package."""
    return {
        package["name"]: {each["rule"] for each in package["findings"]}
        for package in report["packages"]
    }
