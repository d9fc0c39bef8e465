"""`verify`: the state of a whole release, whichever of its files are verified, and the table."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from packaging.version import Version
from pypi_attestations import GitHubPublisher
from rich.console import Console
from werkzeug.wrappers import Request, Response

from attested_publish.attestations.sidecars import PUBLISH, SLSA
from attested_publish.attestations.verify import load_trust
from attested_publish.console.printer import Printer
from attested_publish.consumer.download import Limits
from attested_publish.consumer.expected import Expected, Origin
from attested_publish.consumer.verdict import Verdict, Wanted
from attested_publish.consumer.verify import Verification
from attested_publish.fronts.verdicts import print_verdicts
from attested_publish.index.index import Index
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.pretended import GOOGLE
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.serving import Server
from attested_publish.rehearsal.world import World
from support.index_client import client_of
from support.keys import issuer_key
from support.makers import make_release, make_wheel
from support.releases import SHORT, Stage, staged
from support.sidecars import attestation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cryptography import x509

    from attested_publish.consumer.comparison import Comparison
    from attested_publish.rehearsal.sigstore.fulcio import SignersKey
    from attested_publish.rehearsal.sigstore.principals import Principal

ANYBODY = Expected()
WHEEL = "sample-1.1-py3-none-any.whl"
OTHER = "sample-1.1-py3-none-win32.whl"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A world with `sample` 1.0, and a folder with files of 1.1 that are not uploaded yet."""
    folder = tmp_path / "dist"
    folder.mkdir()
    make_release(folder)
    with staged(folder) as stage:
        assert stage.run().result == "done", stage.printed
        make_wheel(folder, version="1.1")
        make_wheel(folder, version="1.1", tag="py3-none-win32")
        yield stage


def upload(stage: Stage, name: str, *, attested: bool = True, **claims: str) -> None:
    path = stage.folder / name
    client = client_of(stage.world)
    made = attestation(stage.world, path, **claims).model_dump_json() if attested else ""
    answer = client.upload(
        path, client.token(**claims), attestations=f"[{made}]" if attested else None
    )
    assert answer.status_code == 200, answer.text


def compared(
    stage: Stage,
    *paths: Path,
    version: str = "1.1",
    index: str = "",
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> tuple[list[Verdict], Comparison]:
    """Verify files, or all those that the index has of a version."""
    with requests.Session() as session:
        verification = Verification(
            Index.at(index or stage.world.upload_url),
            session,
            load_trust(stage.world.trust_config).verifier,
            SHORT.index,
            lambda _: None,
            limits,
        )
        if paths:
            (release,) = verification.of_files(paths)
        else:
            release = verification.of_project("sample", Version(version))
        verdicts = verification.verdicts(release, ANYBODY)
        return verdicts, verification.comparison(release, verdicts)


def test_a_file_s_release_is_not_full_because_the_file_is_attested(stage: Stage) -> None:
    upload(stage, WHEEL)
    upload(stage, OTHER, attested=False)
    verdicts, comparison = compared(stage, stage.folder / WHEEL)
    assert [verdict.is_good for verdict in verdicts] == [True]
    assert comparison.standing.states == ("partial",)
    assert comparison.standing == compared(stage)[1].standing


def test_a_stranger_s_file_beside_the_verified_one_is_found(stage: Stage) -> None:
    upload(stage, WHEEL)
    upload(stage, OTHER, **job_claims({}, {"repository": "new-org/sample"}))
    verdicts, comparison = compared(stage, stage.folder / WHEEL)
    assert [verdict.is_good for verdict in verdicts] == [True]
    assert set(comparison.standing.states) == {"full", "inconsistent", "changed"}
    assert comparison.has_changed


def test_what_is_served_has_its_state_whatever_the_local_file_is(stage: Stage) -> None:
    upload(stage, WHEEL)
    changed = stage.folder / WHEEL
    changed.write_bytes(changed.read_bytes() + b"x")
    missing = stage.folder / OTHER
    verdicts, comparison = compared(stage, changed, missing)
    assert not any(verdict.is_good for verdict in verdicts)
    assert comparison.standing.states == ("full",)
    assert comparison.standing.why_unknown is None
    assert [each.repository for each in comparison.now] == ["octo-org/sample-project"]


@contextlib.contextmanager
def without_digests(stage: Stage, provenance: Mapping[str, str]) -> Iterator[str]:
    """Raise an index that lists no digests, and no provenance except this, by filename."""

    def app(environ: dict, start_response: object) -> object:
        request = Request(environ)
        if request.path != "/simple/sample/":
            return Response("", 404)(environ, start_response)
        files = [
            {"filename": name, "url": file["url"], "provenance": provenance.get(name)}
            for name, file in stage.served().items()
        ]
        return Response(json.dumps({"files": files}))(environ, start_response)

    server = Server(app)
    server.start()
    yield f"{server.url}/legacy/"
    server.stop()


def test_no_digest_is_no_secret_where_there_is_no_provenance(stage: Stage) -> None:
    upload(stage, WHEEL)
    wheel = stage.folder / WHEEL
    with without_digests(stage, {}) as index:
        standing = compared(stage, wheel, index=index)[1].standing
        assert standing.states == ("no",)
        assert standing.compared_with == "1.0"
    with without_digests(stage, {"sample-1.0.tar.gz": "/provenance"}) as index:
        standing = compared(stage, wheel, index=index)[1].standing
        assert standing.states == ("no", "unknown")
        assert standing.why_unknown == "sample-1.0.tar.gz: The index lists no digest of it"


def test_what_is_wrong_with_a_wanted_file_is_said_once(stage: Stage) -> None:
    upload(stage, WHEEL)
    stage.fault("integrity=garbage")
    verdicts, comparison = compared(stage)
    assert "provenance cannot be used" in verdicts[0].why_not
    assert comparison.standing.why_unknown == f"{WHEEL} is invalid"


def test_the_provenance_of_other_files_is_read_for_a_limited_time(stage: Stage) -> None:
    upload(stage, WHEEL)
    upload(stage, OTHER)
    verdicts, comparison = compared(stage, stage.folder / WHEEL, limits=Limits(others=0.0))
    assert [verdict.is_good for verdict in verdicts] == [True]
    assert comparison.standing.states == ("unknown",)
    assert "was not read in time" in (comparison.standing.why_unknown or "")


@pytest.mark.parametrize("number", [13, 14, 23])
def test_a_certificate_whose_ref_commit_or_environment_is_no_text_is_invalid(
    dist: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority that is trusted may make mistakes, where PyPI's policy does not look."""
    with World(
        claims=GOOGLE.claims({}, {}), registry=Registry.open(), job=GOOGLE, issuer_key=issuer_key()
    ) as world:
        issue = world.authority.issue

        def mistaken(key: SignersKey, who: Principal, **more: Any) -> x509.Certificate:
            octets = {number: b"\x04\x01\xff"}
            return issue(key, replace(who, extensions=who.extensions | octets), **more)

        monkeypatch.setattr(world.authority, "issue", mistaken)
        stage = Stage(world, dist)
        assert stage.run().result == "done", stage.printed
        verdicts, comparison = compared(stage, version="1.0")
    for verdict in verdicts:
        assert (
            verdict.why_not == "Its certificate names a ref, commit or environment that is no text."
        )
        assert not verdict.is_proven
    assert comparison.standing.states == ("unknown",)


def table(*verdicts: Verdict) -> list[str]:
    """Print a table on a terminal of 80 columns."""
    printed = io.StringIO()
    print_verdicts(verdicts, ANYBODY, Printer(Console(file=printed, width=80), verbose=False))
    return printed.getvalue().splitlines()


def verdict(filename: str, origins: tuple[Origin, ...], count: int = 2) -> Verdict:
    publisher = GitHubPublisher(repository="octo-org/sample-project", workflow="release.yml")
    return Verdict(
        Wanted("sample", Version("1.0"), filename, None),
        publishers=(publisher,),
        predicate_types=(PUBLISH, SLSA) * (count // 2),
        log_indexes=tuple(range(1_234_567_890, 1_234_567_890 + count)),
        origins=origins,
        is_proven=True,
    )


def test_the_table_is_aligned_on_eighty_columns() -> None:
    origin = Origin("refs/tags/v1.0.0", "0123456789abcdef" * 4)
    printed = table(verdict("sample_project-1.0.0-py3-none-any.whl", (origin,)))
    file, publisher, where = printed[3:6]
    assert file.split() == [
        *("sample_project-1.0.0-py3-none-any.whl", "publish", "#1234567890", "✓", "valid")
    ]
    assert publisher.split() == [
        *("GitHub", "octo-org/sample-project", "release.yml", "slsa", "#1234567891")
    ]
    assert where.strip() == "refs/tags/v1.0.0, commit 0123456789ab"
    assert file.index("publish") == publisher.index("slsa")
    assert file.index("#") == publisher.index("#")
    assert max(map(len, printed)) <= 80


def test_the_table_is_short_and_harmless_whatever_an_index_serves() -> None:
    origins = tuple(Origin(f"refs/heads/\x1b[2J{n}\n", "\u202e\r") for n in range(1000))
    printed = table(verdict("sample-1.0.tar.gz", origins, count=1000))
    # The head, the file, one publisher, three origins and what is left out, and the total.
    assert len(printed) == 11, printed
    assert "+997 more" in "\n".join(printed)
    assert not {"\x1b", "\r", "\u202e"} & set("".join(printed))
