"""Attestations that lie beside the distributions: what holds goes up, what does not is told."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests
from pypi_attestations import Provenance

from attested_publish.attestations.verify import load_trust
from attested_publish.distributions import copy_privately
from attested_publish.index.index import Dialect, Index
from attested_publish.index.pages import Pages
from attested_publish.journey import publish
from attested_publish.journey.served import Provenanced, Provenances, wait_until_served
from attested_publish.net.http import new_session
from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import TRUE_ROW as ROW
from support.makers import make_release, make_wheel
from support.releases import SHORT, problem, publisher_policy, staged
from support.sidecars import PUBLISH, SLSA, attestation, bundle, put, signature, subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pypi_attestations import Attestation

    from attested_publish.rehearsal.world import World
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"


@pytest.fixture
def wheel(dist: Path) -> Path:
    return dist / WHEEL


@pytest.fixture
def sdist(dist: Path) -> Path:
    return dist / SDIST


def served(stage: Stage, filename: str) -> list[Attestation]:
    """Return the attestations that the index serves of a file."""
    url = stage.served()[filename]["provenance"]
    assert url is not None
    provenance = Provenance.model_validate(requests.get(url, timeout=10).json())
    (only,) = provenance.attestation_bundles
    return only.attestations


def kinds(attestations: list[Attestation]) -> list[str]:
    return [each.statement["predicateType"] for each in attestations]


def envelopes(*attestations: Attestation) -> list[Any]:
    return [each.envelope for each in attestations]


def test_what_holds_goes_up_as_it_is(stage: Stage, wheel: Path, sdist: Path) -> None:
    ready = {}
    for path in (wheel, sdist):
        ready[path.name] = attestation(stage.world, path)
        path.with_name(f"{path.name}.publish.attestation").write_text(
            ready[path.name].model_dump_json()
        )
    entries = len(stage.world.log)
    report = stage.run()
    assert report.result == "done", stage.printed
    assert len(stage.world.log) == entries, "nothing was signed again"
    for name, made in ready.items():
        assert envelopes(*served(stage, name)) == envelopes(made)
        assert report.files[name].attestations
        assert report.files[name].attestations[0].predicate_type == PUBLISH
        assert f"{name}.publish.attestation" in stage.printed
    assert "right digest and provenance" in stage.printed


def test_only_what_has_none_is_signed(stage: Stage, wheel: Path) -> None:
    put(stage.world, wheel)
    entries = len(stage.world.log)
    assert stage.run().result == "done", stage.printed
    assert len(stage.world.log) == entries + 1
    assert kinds(served(stage, WHEEL)) == kinds(served(stage, SDIST)) == [PUBLISH]


BAD: dict[str, tuple[Callable[[World, Path], str], str]] = {
    "other bytes": (
        lambda world, path: attestation(
            world, path, subjects=[subject(path, "f" * 64)]
        ).model_dump_json(),
        "about other bytes",
    ),
    "another file": (
        lambda world, path: attestation(
            world, path, subjects=[{**subject(path), "name": "other-1.0.tar.gz"}]
        ).model_dump_json(),
        "other-1.0.tar.gz",
    ),
    "another workflow": (
        lambda world, path: attestation(
            world,
            path,
            workflow_ref="octo-org/sample-project/.github/workflows/other.yml@refs/tags/v1.0",
        ).model_dump_json(),
        "Build Config URI",
    ),
    "another repository": (
        lambda world, path: attestation(
            world, path, repository="octo-org/another"
        ).model_dump_json(),
        "octo-org/another",
    ),
    "another kind": (
        lambda world, path: attestation(
            world, path, predicate_type="https://example.org/kind"
        ).model_dump_json(),
        "https://example.org/kind",
    ),
    "no JSON": (lambda world, path: "no", "neither JSON"),
    "deep JSON": (lambda world, path: "[" * 100_000, "more than 2,000 values"),
    "a list": (lambda world, path: "[]", "not an object"),
    "something else": (lambda world, path: "{}", "neither a Sigstore bundle nor"),
    "a broken one": (lambda world, path: '{"envelope": 1}', "not a PEP 740 attestation"),
    "two of them": (
        lambda world, path: "\n".join(attestation(world, path).model_dump_json() for _ in range(2)),
        "several attestations",
    ),
}


def wheels_for(folder: Path, cases: dict[str, Any]) -> dict[str, Path]:
    """Make a wheel for each case."""
    return {case: make_wheel(folder, tag=f"cp3{20 + n}-none-any") for n, case in enumerate(cases)}


def test_what_does_not_hold_is_replaced_or_refused(stage: Stage) -> None:
    wheels = wheels_for(stage.folder, BAD)
    beside = {
        case: path.with_name(f"{path.name}.publish.attestation") for case, path in wheels.items()
    }
    for case, (make, _) in BAD.items():
        beside[case].write_text(make(stage.world, wheels[case]))
    before = {case: path.read_bytes() for case, path in beside.items()}

    entries = len(stage.world.log)
    report = stage.run(attestations="true")
    assert report.result == "refused", stage.printed
    assert report.problems[0].stage == "verification"
    told = dict(
        line.split(": ", 1) for line in report.problems[0].detail.splitlines() if ": " in line
    )
    for case, (_, why) in BAD.items():
        assert why in told[beside[case].name], case
    assert not stage.served()
    assert not stage.world.index.issued_tokens, "found out before any token was spent"
    assert len(stage.world.log) == entries

    report = stage.run()
    assert report.result == "done", stage.printed
    for case, (_, why) in BAD.items():
        (line,) = (line for line in stage.printed.splitlines() if f"{beside[case].name} is" in line)
        assert why in line, case
        assert kinds(served(stage, wheels[case].name)) == [PUBLISH]
    assert "made again" in stage.printed
    assert {case: path.read_bytes() for case, path in beside.items()} == before, "only read"


def test_one_bad_attestation_is_named_and_counted(stage: Stage, wheel: Path) -> None:
    put(stage.world, wheel, subjects=[subject(wheel, "f" * 64)])
    assert "1 ready-made attestation would" in problem(stage.run(attestations="true"))


def test_check_foresees_what_would_be_refused(stage: Stage, wheel: Path) -> None:
    stage.world.index.add_project("sample")
    put(stage.world, wheel, subjects=[subject(wheel, "f" * 64)])
    assert stage.run(publish.check).result == "done", stage.printed
    assert "about other bytes" in stage.printed
    assert stage.run(publish.check, attestations="true").result == "refused"


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes in folders there")
def test_a_pipe_is_not_waited_for(stage: Stage, wheel: Path) -> None:
    os.mkfifo(wheel.with_name(f"{WHEEL}.publish.attestation"))
    assert stage.run().result == "done", stage.printed
    assert "not a regular file" in stage.printed


def test_slsa_provenance_goes_up_with_the_publish_attestation(
    stage: Stage, wheel: Path, sdist: Path
) -> None:
    put(stage.world, wheel)
    put(stage.world, wheel, ".slsa.attestation", predicate_type=SLSA)
    put(stage.world, sdist, ".slsa.attestation", predicate_type=SLSA)
    entries = len(stage.world.log)
    report = stage.run(attestations="true")
    assert report.result == "done", stage.printed
    assert len(stage.world.log) == entries + 1, "a publish attestation for the sdist"
    for name in (WHEEL, SDIST):
        assert kinds(served(stage, name)) == [PUBLISH, SLSA]
        assert report.files[name].attestations
        assert report.files[name].attestations[0].predicate_type == PUBLISH


def test_each_attestation_is_looked_for_in_what_the_index_serves(stage: Stage, wheel: Path) -> None:
    put(stage.world, wheel)
    stage.run()
    sent = served(stage, WHEEL)
    not_sent = attestation(stage.world, wheel, predicate_type=SLSA)
    with copy_privately([wheel]) as files, new_session() as session:
        pages = Pages(Index.at(stage.world.upload_url, Dialect.PYPI), session)
        for attestations, lacks in ((sent, set()), ([*sent, not_sent], {SLSA})):
            found: list[Provenanced] = []
            served_now = wait_until_served(
                files.distributions,
                Provenances(
                    {WHEEL: attestations},
                    pages,
                    load_trust(stage.world.trust_config),
                    publisher_policy("octo-org/sample-project", "release.yml"),
                ),
                pages,
                patience=SHORT.confirmation,
                seen=lambda _, __, each, found=found: found.append(each),
                tell=lambda _: None,
            )
            assert served_now.served.keys() == {WHEEL}
            assert [each.is_own for each in found] == [True]
            assert [each.lacks for each in found] == [lacks]


def test_one_of_each_kind_goes_up(stage: Stage, wheel: Path) -> None:
    put(stage.world, wheel)
    put(stage.world, wheel, ".slsa.attestation", predicate_type=PUBLISH)
    report = stage.run(attestations="true")
    assert report.result == "done", stage.printed
    assert kinds(served(stage, WHEEL)) == [PUBLISH]
    assert f"{WHEEL}.slsa.attestation is not used" in stage.printed


@pytest.mark.parametrize("name", ["{}.sigstore.json", "{}.sigstore", "{}.intoto.jsonl"])
def test_a_bundle_named_after_its_file_is_converted(stage: Stage, wheel: Path, name: str) -> None:
    made = bundle(stage.world, wheel)
    (stage.folder / name.format(WHEEL)).write_text(json.dumps(made, indent=2))
    assert stage.run().result == "done", stage.printed
    assert kinds(served(stage, WHEEL)) == [PUBLISH, SLSA]


def test_a_publish_bundle_spares_the_signature(stage: Stage, wheel: Path, sdist: Path) -> None:
    for path in (wheel, sdist):
        made = bundle(stage.world, path, predicate_type=PUBLISH)
        path.with_name(f"{path.name}.sigstore.json").write_text(json.dumps(made))
    entries = len(stage.world.log)
    assert stage.run().result == "done", stage.printed
    assert len(stage.world.log) == entries
    assert kinds(served(stage, WHEEL)) == [PUBLISH]


def test_bundles_in_lines_find_their_files_by_digest(
    stage: Stage, wheel: Path, sdist: Path
) -> None:
    lines = [json.dumps(bundle(stage.world, path)) for path in (wheel, sdist)]
    (stage.folder / "attestation.intoto.jsonl").write_text("\n".join(lines) + "\n")
    assert stage.run().result == "done", stage.printed
    assert kinds(served(stage, WHEEL)) == kinds(served(stage, SDIST)) == [PUBLISH, SLSA]


def of_rekor_v2(made: dict[str, Any]) -> dict[str, Any]:
    (entry,) = made["verificationMaterial"]["tlogEntries"]
    entry["kindVersion"] = {"kind": "hashedrekord", "version": "0.0.2"}
    del entry["inclusionPromise"]
    return made


def unlogged(made: dict[str, Any]) -> dict[str, Any]:
    made["verificationMaterial"]["tlogEntries"] = []
    return made


BUNDLES: dict[str, tuple[Callable[[World, Path], dict[str, Any]], str]] = {
    "two files": (
        lambda world, path: bundle(world, path, path.with_name(SDIST)),
        "about 2 files in one statement",
    ),
    "another predicate": (
        lambda world, path: bundle(world, path, predicate_type="https://example.org/kind"),
        "https://example.org/kind",
    ),
    "Rekor v2": (lambda world, path: of_rekor_v2(bundle(world, path)), "Rekor v1"),
    "no log entry": (lambda world, path: unlogged(bundle(world, path)), "no transparency log"),
    "the bare file": (signature, "without an in-toto statement"),
    "another job": (
        lambda world, path: bundle(world, path, repository="octo-org/another"),
        "octo-org/another",
    ),
    "a bare envelope": (
        lambda world, path: {"payloadType": "x", "payload": "", "signatures": []},
        "bare DSSE envelope",
    ),
    "nothing in it": (lambda world, path: {"mediaType": "x"}, "no transparency log"),
}


def test_a_bundle_that_pypi_could_not_accept_is_told(stage: Stage) -> None:
    wheels = wheels_for(stage.folder, BUNDLES)
    for case, (make, _) in BUNDLES.items():
        beside = wheels[case].with_name(f"{wheels[case].name}.sigstore.json")
        beside.write_text(json.dumps(make(stage.world, wheels[case])))
    report = stage.run(attestations="true")
    assert report.result == "done", "a bundle may be there for others"
    for case, (_, why) in BUNDLES.items():
        name = f"{wheels[case].name}.sigstore.json"
        (line,) = (line for line in stage.printed.splitlines() if f"{name} is not conv" in line)
        assert why in line, case
        assert kinds(served(stage, wheels[case].name)) == [PUBLISH]


def test_a_line_about_another_file_does_not_hide_the_next(
    stage: Stage, wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    other = make_wheel(tmp_path / "elsewhere", version="2.0")
    for name in ("all.intoto.jsonl", f"{WHEEL}.intoto.jsonl"):
        lines = [json.dumps(bundle(stage.world, path)) for path in (other, wheel, sdist)]
        (stage.folder / name).write_text("\n".join(lines))
        report = stage.run(publish.check)
        assert report.result == "done"
        assert f"{name}  valid for {WHEEL}" in stage.printed
        assert f"{name}  valid for {SDIST}" in stage.printed
        (stage.folder / name).unlink()
    (stage.folder / "all.intoto.jsonl").write_text("\n".join(lines))
    assert stage.run().result == "done", stage.printed
    assert {tuple(kinds(served(stage, name))) for name in (WHEEL, SDIST)} == {(PUBLISH, SLSA)}


def test_why_a_bundle_of_any_name_is_not_converted_is_its_own_reason(
    stage: Stage, wheel: Path
) -> None:
    bare = signature(stage.world, wheel)
    logless = bundle(stage.world, wheel)
    del logless["verificationMaterial"]["tlogEntries"]
    for name, document, why in (
        ("blob.sigstore.json", bare, "signs the file itself"),
        ("private.sigstore.json", logless, "no transparency log"),
    ):
        (stage.folder / name).write_text(json.dumps(document))
        stage.run(publish.check)
        assert f"{name} is not converted: " in stage.printed
        assert why in stage.printed
        (stage.folder / name).unlink()


def test_what_was_made_by_another_workflow_is_told_in_words(stage: Stage, wheel: Path) -> None:
    ref = stage.world.claims["ref"]
    built = f"octo-org/sample-project/.github/workflows/build.yml@{ref}"
    put(stage.world, wheel, workflow_ref=built, job_workflow_ref=built)
    told = problem(stage.run(attestations="true"))
    assert f"https://github.com/{built}" in told
    assert "Extension(" not in told


def test_only_what_did_not_hold_counts_as_made_anew(stage: Stage, wheel: Path) -> None:
    put(stage.world, wheel, repository="octo-org/another")
    assert stage.run().result == "done"
    assert "1 attestation will be made again" in stage.printed


def test_a_provenance_in_the_place_of_an_attestation_is_told(stage: Stage, wheel: Path) -> None:
    made = attestation(stage.world, wheel)
    provenance = {"version": 1, "attestation_bundles": [{"attestations": [made.model_dump()]}]}
    beside = wheel.with_name(f"{WHEEL}.publish.attestation")
    beside.write_text(json.dumps(provenance, default=str))
    stage.run()
    assert "It is a provenance, which contains attestations" in stage.printed


def test_a_bundle_about_nothing_here_is_told(stage: Stage, tmp_path: Path) -> None:
    other = make_wheel(tmp_path / "elsewhere", version="2.0")
    (stage.folder / "other.intoto.jsonl").write_text(json.dumps(bundle(stage.world, other)))
    assert stage.run().result == "done"
    assert "about no file that is published here" in stage.printed


def test_nothing_goes_up_where_attestations_are_ruled_out(stage: Stage, wheel: Path) -> None:
    put(stage.world, wheel)
    assert stage.run(attestations="false").result == "done"
    assert "is ignored" in stage.printed
    assert stage.served()[WHEEL]["provenance"] is None


def test_in_a_called_workflow_what_holds_goes_up_though_nothing_can_be_signed(
    dist: Path, wheel: Path
) -> None:
    """The token exchange looks at the called file; an attestation from its own runs fits."""
    here = "octo-org/sample-project/.github/workflows"
    with staged(dist, claims={"job_workflow_ref": f"{here}/called.yml@refs/tags/v1.0.0"}) as stage:
        put(stage.world, wheel, workflow_ref=f"{here}/called.yml@{stage.world.claims['ref']}")
        report = stage.run()
        assert report.result == "done", stage.printed
        assert kinds(served(stage, WHEEL)) == [PUBLISH]
        assert stage.served()[SDIST]["provenance"] is None


def test_what_is_there_already_needs_no_attestation(stage: Stage, wheel: Path) -> None:
    stage.run()
    put(stage.world, wheel, subjects=[subject(wheel, "f" * 64)])
    report = stage.run(attestations="true")
    assert report.result == "done", stage.printed


def test_one_refused_project_holds_up_the_others_and_they_are_named(dist: Path) -> None:
    make_release(dist, name="other")
    make_wheel(dist, name="third")
    make_wheel(dist, name="third", tag="py3-none-linux_x86_64")
    with staged(dist) as stage:
        report = stage.run()
        assert report.result == "refused"
        assert not stage.served("other")
        assert not stage.served("sample")
        for name in ("other", "sample"):
            assert f"Nothing is wrong with {name} 1.0 (2 files)" in problem(report)
        assert "against third" not in problem(report)
        assert {each["project"]: each["status"] for each in report.projects()} == {
            "other": "checked",
            "sample": "checked",
            "third": "refused",
        }


def test_what_is_public_is_not_held_up(dist: Path) -> None:
    """Of a release that is there in part, what is missing counts; of a whole one, nothing does."""
    make_release(dist, name="other")
    with staged(dist) as stage:
        stage.run()
        make_wheel(dist, name="other", tag="py3-none-win32")
        make_wheel(dist, name="third", tag="py3-none-linux_x86_64")
        told = problem(stage.run())
        assert "wrong with sample" not in told
        assert "Nothing is wrong with other 1.0 (1 file)" in told


def test_each_of_several_projects_is_reported(dist: Path) -> None:
    make_release(dist, name="other")
    with staged(dist) as stage:
        stage.run()
        assert "other 1.0  2 files, uploaded" in stage.printed
        assert "sample 1.0  2 files, uploaded" in stage.printed


def test_a_project_that_cannot_be_created_is_tried_before_anything_else_goes_up(
    dist: Path,
) -> None:
    """It has no pending publisher: that shows with its first file."""
    make_release(dist, name="zeta")
    row = {**ROW, "projects": ["sample"]}
    with staged(dist, registry=Registry.parse(json.dumps({"publishers": [row]}))) as stage:
        stage.world.index.add_project("sample")
        report = stage.run()
        assert report.result == "refused"
        told = problem(report)
        assert "Register a pending publisher for this job" in told
        assert "The project zeta does not exist" in told
        assert not stage.served("sample")
        assert not stage.served("zeta")


def test_a_pending_project_is_there_by_then(dist: Path) -> None:
    """Minting creates it: what goes first is what still cannot be."""
    make_release(dist, name="zeta")
    rows = {
        "publishers": [{**ROW, "projects": ["elsewhere"]}],
        "pending_publishers": [{**ROW, "project": "sample"}],
    }
    with staged(dist, registry=Registry.parse(json.dumps(rows))) as stage:
        report = stage.run()
        assert "The project zeta does not exist" in problem(report)
        assert not stage.served("sample"), "it exists by then, and zeta was tried before"
