"""`verify`: the ref and the commit in the certificates, and the state of the provenance."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from attested_publish.consumer.expected import Expected
from attested_publish.fronts import cli
from attested_publish.fronts import verify as verify_command
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.journey.targets import Targets
from attested_publish.rehearsal.jobs import gitlab
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.pretended import GITLAB, GOOGLE
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.report import Result
from attested_publish.settings import Settings
from support.index_client import client_of
from support.keys import issuer_key
from support.makers import make_release, make_wheel
from support.releases import Stage, deadlines, run_to, staged
from support.sidecars import SLSA, attestation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TAG = "sample@1.0"


def verified(stage: Stage, *targets: str, **expected: object) -> tuple[Result, str]:
    """Verify with the short patience of tests, on a terminal of 80 columns."""
    printed = io.StringIO()
    where = Targets(
        Index.at(stage.world.upload_url), stage.world.trust_config, deadlines=deadlines(0.6)
    )
    run = run_to(where, Settings(), Console(file=printed, width=80), mode="verify")
    wanted = verify_command.read_targets(targets)
    carry_out(lambda: verify_command.verify(run, wanted, Expected(**expected)) and None, run)
    return run.result, printed.getvalue()


def said(text: str) -> str:
    """Return what was printed, without the breaks of lines."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A release with both attestations, from a tag."""
    folder = tmp_path_factory.mktemp("dist")
    make_release(folder)
    with staged(folder, claims={"ref": f"refs/tags/{TAG}", "sha": COMMIT}) as stage:
        assert stage.run(provenance="true").result == "done", stage.printed
        yield stage


@pytest.mark.parametrize(
    "expected",
    [
        {"commit": COMMIT},
        {"commit": COMMIT[:7].upper()},
        {"ref": f"refs/tags/{TAG}"},
        {"ref": TAG},
        {"tag_version": True},
        {
            "commit": COMMIT,
            "ref": TAG,
            "tag_version": True,
            "repository": "octo-org/sample-project",
        },
    ],
)
def test_what_the_certificate_says_is_accepted(tagged: Stage, expected: dict[str, object]) -> None:
    result, printed = verified(tagged, "sample==1.0", **expected)
    assert result is Result.DONE, printed
    assert "for the expected publisher" in said(printed)


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ({"commit": "f" * 40}, f"It is from commit {COMMIT}, not {'f' * 40}."),
        ({"commit": COMMIT[1:9]}, f"It is from commit {COMMIT}, not"),
        ({"ref": "refs/tags/sample@1"}, f"It is from refs/tags/{TAG}, not refs/tags/sample@1."),
        ({"ref": "refs/heads/sample@1.0"}, "not refs/heads/sample@1.0."),
        ({"ref": "1.0"}, "not 1.0."),
        ({"ref": f"tags/{TAG}"}, f"not tags/{TAG}."),
    ],
)
def test_anything_else_is_not(tagged: Stage, expected: dict[str, object], why: str) -> None:
    result, printed = verified(tagged, "sample==1.0", **expected)
    assert result is Result.REFUSED
    assert why in said(printed)


def test_the_table_shows_ref_commit_and_both_statements(tagged: Stage) -> None:
    _, printed = verified(tagged, "sample==1.0")
    assert f"refs/tags/{TAG}, commit {COMMIT[:12]}" in said(printed)
    rows = [line for line in printed.splitlines() if "valid" in line and "✓" in line]
    assert len(rows) == 2
    assert max(map(len, rows)) <= 80
    assert printed.count("publish ") >= 2
    assert printed.count("slsa") == 2


def test_a_local_file_is_held_against_them_too(tagged: Stage) -> None:
    wheel = str(tagged.folder / "sample-1.0-py3-none-any.whl")
    assert verified(tagged, wheel, ref=TAG, tag_version=True)[0] is Result.DONE
    assert verified(tagged, wheel, ref="v1.0")[0] is Result.REFUSED


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("refs/tags/v1.1", "The tag 'v1.1' names the version 1.1, but this is sample 1.0."),
        ("refs/heads/main", "It is from refs/heads/main, which is no tag."),
        ("refs/tags/nightly", "does not name the version of sample"),
    ],
)
def test_a_ref_that_does_not_name_the_version(dist: Path, ref: str, why: str) -> None:
    with staged(dist, claims={"ref": ref}) as stage:
        assert stage.run().result == "done", stage.printed
        result, printed = verified(stage, "sample", tag_version=True)
        assert result is Result.REFUSED
        assert why in said(printed)
        assert verified(stage, "sample")[0] is Result.DONE
        assert verified(stage, "sample", ref=ref.rpartition("/")[2])[0] is Result.DONE


def test_a_branch_that_is_named_like_a_tag_is_not_that_tag(dist: Path) -> None:
    """Whoever may push branches can choose their names; a full ref is exactly that ref."""
    with staged(dist, claims={"ref": "refs/heads/refs/tags/v1.0"}) as stage:
        assert stage.run().result == "done", stage.printed
        result, printed = verified(stage, "sample", ref="refs/tags/v1.0")
        assert result is Result.REFUSED
        assert "It is from refs/heads/refs/tags/v1.0, not refs/tags/v1.0." in said(printed)
        assert verified(stage, "sample", tag_version=True)[0] is Result.REFUSED


def test_on_gitlab(dist: Path) -> None:
    claims = gitlab.job_claims({}, {"ref": "v1.0", "sha": COMMIT})
    with World(
        claims=claims, registry=Registry.open(), job=GITLAB, issuer_key=issuer_key()
    ) as world:
        stage = Stage(world, dist)
        assert stage.run(provenance="true").result == "done", stage.printed
        assert verified(stage, "sample", ref="v1.0", commit=COMMIT, tag_version=True)[0] is (
            Result.DONE
        )


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ({"commit": COMMIT}, "Its certificate names no commit."),
        ({"ref": "v1.0"}, "Its certificate names no ref."),
        ({"tag_version": True}, "Its certificate names no ref."),
    ],
)
def test_a_certificate_that_says_nothing_of_it(
    dist: Path, expected: dict[str, object], why: str
) -> None:
    with World(
        claims=GOOGLE.claims({}, {}), registry=Registry.open(), job=GOOGLE, issuer_key=issuer_key()
    ) as world:
        stage = Stage(world, dist)
        assert stage.run().result == "done", stage.printed
        result, printed = verified(stage, "sample", **expected)
        assert result is Result.REFUSED
        assert why in said(printed)


@pytest.mark.parametrize("commit", ["main", "012345", "g" * 40, "0" * 65, "-" * 8])
def test_what_can_be_no_commit_is_wrong_usage(
    commit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["verify", "sample", f"--commit={commit}"])
    assert "--commit is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--commit", COMMIT[:7], "--ref", TAG, "--tag-version"], 0),
        (["--commit", "f" * 7], 1),
        (["--ref", "v1.0"], 1),
    ],
)
def test_the_command_passes_on_what_is_expected(
    tagged: Stage, tmp_path: Path, options: list[str], status: int
) -> None:
    config = tmp_path / "trust_config.json"
    config.write_text(tagged.world.trust_config, encoding="utf-8")
    index = ["--repository-url", tagged.world.upload_url, "--sigstore-trust-config", str(config)]
    assert cli.main(["verify", "sample==1.0", *index, *options]) == status


def test_the_command_passes_on_that_a_tag_is_expected(dist: Path, tmp_path: Path) -> None:
    config = tmp_path / "trust_config.json"
    with staged(dist, claims={"ref": "refs/tags/v1.1"}) as stage:
        assert stage.run().result == "done", stage.printed
        config.write_text(stage.world.trust_config, encoding="utf-8")
        index = ["--repository-url", stage.world.upload_url, "--sigstore-trust-config", str(config)]
        assert cli.main(["verify", "sample==1.0", *index]) == 0
        assert cli.main(["verify", "sample==1.0", *index, "--tag-version"]) == 1


def test_an_empty_expectation_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["verify", "sample", "--ref", ""])
    assert "--ref is empty" in capsys.readouterr().err


def add(stage: Stage, path: Path, *, attested: bool = True, **claims: str) -> None:
    """Upload a file for another job, with what PyPI would serve of it."""
    client = client_of(stage.world)
    token = client.token(**claims)
    sent = None
    if attested:
        sent = f"[{attestation(stage.world, path, **claims).model_dump_json()}]"
    answer = client.upload(path, token, attestations=sent)
    assert answer.status_code == 200, answer.text


def test_what_is_said_of_what_is_served(dist: Path, tmp_path: Path) -> None:
    """The same states as in the forecast before a release."""
    with staged(dist) as stage:
        assert stage.run().result == "done", stage.printed
        printed = said(verified(stage, "sample==1.0")[1])
        assert "sample 1.0: full provenance" in printed
        assert "there is no earlier release" in printed

        add(stage, make_wheel(tmp_path, version="1.1"))
        add(stage, make_wheel(tmp_path, version="1.1", tag="py3-none-win32"), attested=False)
        result, text = verified(stage, "sample==1.1")
        assert result is Result.REFUSED, "a file without attestations has no publisher"
        assert "sample 1.1: partial provenance" in said(text)
        assert "the source is that of 1.0" in said(text)

        add(stage, make_wheel(tmp_path, version="1.2"), attested=False)
        printed = said(verified(stage, "sample==1.2")[1])
        lost = "sample 1.2: no provenance; lost: 1.1 has provenance, from GitHub"
        assert f"! {lost}" in printed, "it is a warning"

        file = "octo-org/sample-project/.github/workflows/other.yml"
        ref = f"{file}@{stage.world.claims['ref']}"
        other = {"workflow_ref": ref, "job_workflow_ref": ref}
        add(stage, make_wheel(tmp_path, version="1.3"))
        add(stage, make_wheel(tmp_path, version="1.3", tag="py3-none-win32"), **other)
        printed = said(verified(stage, "sample==1.3")[1])
        assert "inconsistent" in printed
        assert "1.2 has no provenance" in printed


def test_another_source_is_shown_side_by_side(dist: Path, tmp_path: Path) -> None:
    with staged(dist) as stage:
        assert stage.run().result == "done", stage.printed
        add(
            stage,
            make_wheel(tmp_path, version="2.0"),
            **job_claims({}, {"repository": "new-org/sample"}),
        )
        result, text = verified(stage, "sample==2.0")
        assert result is Result.DONE, "the publisher is not known to be wrong"
        printed = said(text)
        assert "changed: 1.0 is from GitHub octo-org/sample-project, release.yml" in printed
        assert "The publisher has changed: 1.0 is by GitHub octo-org/sample-project" in printed
        assert "this release by GitHub new-org/sample" in printed


def test_a_provenance_that_cannot_be_read_proves_no_state(dist: Path) -> None:
    with staged(dist) as stage:
        assert stage.run().result == "done", stage.printed
        stage.fault("integrity=garbage")
        printed = said(verified(stage, "sample==1.0")[1])
        assert "its provenance is not known (sample-1.0" in printed
        assert "full provenance" not in printed


def test_each_of_two_attestations_counts(dist: Path) -> None:
    """One whose certificate is of another commit is found, whichever kind it is."""
    with staged(dist, claims={"sha": COMMIT}) as stage:
        wheel = next(dist.glob("*.whl"))
        client = client_of(stage.world)
        token = client.token()
        made = [
            attestation(stage.world, wheel, sha=COMMIT).model_dump_json(),
            attestation(stage.world, wheel, predicate_type=SLSA, sha="f" * 40).model_dump_json(),
        ]
        answer = client.upload(wheel, token, attestations=f"[{','.join(made)}]")
        assert answer.status_code == 200, answer.text
        result, text = verified(stage, "sample", commit=COMMIT)
        assert result is Result.REFUSED
        assert f"It is from commit {'f' * 40}" in said(text)
