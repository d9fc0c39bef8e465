"""One run to several indexes: in order, signed once, and a failure at one hides no other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from attested_publish.fronts.cli import main
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.targets import Targets
from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.report import Report, Result
from attested_publish.settings import WrongUsage, understand
from support.action import ACTION, job, outputs, run_action
from support.makers import make_wheel
from support.releases import SHORT, Stage, run, served, staged
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {"sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz"}
NOBODY = Registry.parse(json.dumps({"publishers": []}))


@pytest.fixture
def two(dist: Path) -> Iterator[Stage]:
    """A world with two indexes, and the release of `dist` to publish to both."""
    with staged(dist, further=[Registry.open()]) as stage:
        yield stage


def addresses(stage: Stage) -> str:
    return "\n".join((stage.world.upload_url, *(each.upload_url for each in stage.world.further)))


def run_all(stage: Stage, do: Any = publish.publish, **settings: str) -> Report:
    """Run `do` at all indexes of the stage's world."""
    chosen = understand(
        {
            "packages-dir": str(stage.folder),
            "repository-url": addresses(stage),
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
    )
    index, *further = map(Index.at, chosen.repository_urls)
    targets = Targets(
        index,
        stage.world.trust_config,
        ambient=stage.world.ambient,
        is_identity_local=True,
        deadlines=SHORT,
        further=tuple(further),
    )
    report, stage.printed = run(do, chosen, targets)
    return report


def name_of(upload_url: str) -> str:
    return Index.at(upload_url).name


def test_every_index_gets_the_files_and_each_is_signed_once(two: Stage) -> None:
    report = run_all(two)
    assert report.result is Result.DONE, two.printed
    assert len(two.world.log) == len(FILES)
    provenance = []
    for index_url in (two.world.index_url, two.world.further[0].index_url):
        files = served(index_url)
        assert files.keys() == FILES
        for name, file in sorted(files.items()):
            document = requests.get(file["provenance"], timeout=10).json()
            provenance.append((name, document["attestation_bundles"][0]["attestations"]))
    assert provenance[:2] == provenance[2:]
    assert two.printed.count("one certificate, a logged signature") == 1
    assert two.printed.count("API token revoked") == 2


def test_the_order_is_the_one_given(two: Stage) -> None:
    report = run_all(two)
    first, second = (name_of(url) for url in addresses(two).split())
    assert [part.index for part in report.indexes] == addresses(two).split()
    headings = [two.printed.index(f"{name}, index") for name in (first, second)]
    uploads = [two.printed.index(f"to {name}") for name in (first, second)]
    revoked = two.printed.index("API token revoked")
    # The first is finished, its token given back, before the second is asked anything.
    assert headings[0] < uploads[0] < revoked < headings[1] < uploads[1]


def test_a_failure_at_the_first_leaves_the_second_its_turn(two: Stage) -> None:
    two.fault("upload=403")
    report = run_all(two)
    assert [part.result for part in report.indexes] == [Result.REFUSED, Result.DONE], two.printed
    assert report.result is Result.REFUSED
    assert served(two.world.index_url) == {}
    assert served(two.world.further[0].index_url).keys() == FILES
    # Signed for the first, which did not want it; the second takes the same.
    assert len(two.world.log) == len(FILES)
    only = report.indexes[0].problems
    assert len(only) == 1
    assert name_of(two.world.upload_url) in only[0].title
    assert report.indexes[1].problems == []


def test_a_failure_at_the_second_does_not_hide_the_first(two: Stage) -> None:
    two.world.further[0].faults.plan(parse_fault("mint=refuse"))
    report = run_all(two)
    assert [part.result for part in report.indexes] == [Result.DONE, Result.FAILED], two.printed
    assert report.result is Result.FAILED
    assert served(two.world.index_url).keys() == FILES
    record = report.as_json()
    assert [problem["stage"] for problem in record["problems"]] == ["token"]
    name = name_of(two.world.further[0].upload_url)
    assert name in record["problems"][0]["title"]
    assert f"This run uploaded nothing to {name}." in record["problems"][0]["detail"]


def test_the_failed_one_is_completed_by_a_second_run(two: Stage) -> None:
    two.world.further[0].faults.plan(parse_fault("mint=refuse"))
    run_all(two)
    two.world.further[0].faults.clear()
    report = run_all(two)
    assert report.result is Result.DONE, two.printed
    statuses = [{file.status.value for file in part.files.values()} for part in report.indexes]
    assert statuses == [{"already-there"}, {"uploaded"}]


def test_both_failures_are_told_and_failed_is_worse_than_refused(two: Stage) -> None:
    two.fault("upload=403")
    two.world.further[0].faults.plan(parse_fault("mint=refuse"))
    report = run_all(two)
    assert [part.result for part in report.indexes] == [Result.REFUSED, Result.FAILED]
    assert report.result is Result.FAILED
    assert len(report.as_json()["problems"]) == 2


def test_what_is_wrong_with_the_files_is_looked_for_once_and_recorded_at_each(
    two: Stage,
) -> None:
    make_wheel(two.folder, version="1.0+local")
    report = run_all(two)
    assert [part.result for part in report.indexes] == [Result.REFUSED] * 2
    assert two.printed.count("what the index would refuse") == 1
    found = [[str(each.findings) for each in part.files.values()] for part in report.indexes]
    assert found[0] == found[1]
    assert [len(part.problems) for part in report.indexes] == [1, 1]
    for part in report.indexes:
        assert part.problems[0].title.startswith(f"{name_of(part.index)}: ")
    assert len(two.world.log) == 0


def test_a_folder_that_is_missing_is_told_once(two: Stage) -> None:
    report = run_all(two, packages_dir=str(two.folder / "missing"))
    record = report.as_json()
    assert len(record["problems"]) == 1
    assert record["result"] == "failed"
    assert [part["result"] for part in record["indexes"]] == ["failed", "failed"]


def test_check_asks_every_index(dist: Path) -> None:
    with staged(dist, further=[NOBODY]) as stage:
        stage.run()
        signed = len(stage.world.log)
        # The second has no such project, so that no token is asked for there.
        report = run_all(stage, publish.check)
        assert report.result is Result.DONE, stage.printed
        first, second = report.indexes
        assert "knows this job" in first.story.remarks[0]
        assert "does not exist yet" in second.story.remarks[0]
        assert {file.status.value for file in second.files.values()} == {"checked"}
        assert len(stage.world.log) == signed


def test_the_report_has_all_files_and_every_index(two: Stage) -> None:
    two.fault("upload=403")
    record = run_all(two).as_json()
    assert list(record) == [
        *("schema", "mode", "result", "index", "identity", "files", "problems", "seconds"),
        *("forecast", "indexes"),
    ]
    assert record["schema"] == 2
    assert record["index"] == two.world.upload_url
    assert record["identity"]["repository"] == "octo-org/sample-project"
    parts = record["indexes"]
    assert [list(part) for part in parts] == [
        ["index", "result", "files", "problems", "seconds", "forecast"],
    ] * 2
    assert record["files"] == parts[0]["files"] + parts[1]["files"]
    assert [file["filename"] for file in record["files"]] == sorted(FILES) * 2
    assert record["problems"] == parts[0]["problems"] + parts[1]["problems"]
    together = sum(part["seconds"]["index"] for part in parts)
    assert record["seconds"]["index"] == pytest.approx(together, abs=0.002)
    assert record["seconds"]["files"] > 0


def test_with_one_index_nothing_is_different(stage: Stage) -> None:
    report = stage.run()
    assert report.indexes == []
    assert "indexes" not in report.as_json()
    assert "index 1" not in stage.printed


def test_the_action_fails_where_one_did_and_tells_of_both(two: Stage) -> None:
    two.world.further[0].faults.plan(parse_fault("upload=403"))
    environment = job(two.world, two.folder, repository_url=addresses(two))
    done = run_action(environment)
    assert done.returncode == 1, done.stdout + done.stderr
    values = outputs(environment)
    assert values["result"] == "refused"
    files = json.loads(values["files"])
    assert len(files) == 2 * len(FILES)
    assert [each["files"] for each in json.loads(values["projects"])] == [sorted(FILES)]
    record = json.loads(Path(values["report"]).read_text())
    assert [part["result"] for part in record["indexes"]] == ["done", "refused"]
    assert files == record["files"]
    summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    first, second = (summary.index(f"**Index {number}: ") for number in (1, 2))
    assert summary.startswith("# ❌ sample 1.0: done at 1 of 2 indexes")
    # What to do is at the one that failed.
    assert second < summary.index("**What to do:**") < first
    assert "## ❌" in summary[second:first]
    assert "## ✅" in summary[first:]
    for once in ("### What to improve", "Full SHA-256 digests", "The identity that consumers see"):
        assert summary.count(once) == 1
    assert done.stdout.count("::group::") == done.stdout.count("::endgroup::")


def test_a_run_stopped_at_the_second_says_what_the_first_got(two: Stage) -> None:
    second = two.world.further[0]
    second.faults.plan(parse_fault("upload=hang"))
    environment = job(two.world, two.folder, repository_url=addresses(two))
    process = subprocess.Popen(
        ACTION,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    wait_for(lambda: len(second.index.issued_tokens) == 1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert printed.count("The run was stopped") == 2  # the log's line and its annotation
    tokens = (*two.world.index.issued_tokens, *second.index.issued_tokens)
    assert [token.is_revoked for token in tokens] == [True, True]
    record = json.loads(Path(outputs(environment)["report"]).read_text())
    assert record["result"] == "failed"
    assert len(record["problems"]) == 1
    first, last = record["indexes"]
    assert (first["result"], last["result"]) == ("done", "failed")
    assert {file["status"] for file in first["files"]} == {"uploaded"}
    assert {file["status"] for file in last["files"]} <= {"failed", "not-attempted"}
    assert first["problems"] == []
    assert [name_of(second.upload_url) in each["title"] for each in last["problems"]] == [True]


def test_the_command_takes_several(two: Stage, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    config = tmp_path / "trust_config.json"
    config.write_text(two.world.trust_config)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "attested_publish", "publish", str(two.folder)),
            *("--repository-url", addresses(two), "--report", str(report)),
            *("--sigstore-trust-config", str(config)),
        ],
        env=job(two.world, two.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(report.read_text())
    assert [part["result"] for part in record["indexes"]] == ["done", "done"]
    assert len(two.world.log) == len(FILES)


@pytest.mark.slow
def test_a_rehearsal_pretends_as_many_as_are_listed(dist: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "attested_publish", "rehearse", str(dist)),
            *("--repository-url", "https://test.pypi.org/legacy/\nhttps://upload.pypi.org/legacy/"),
            *("--report", str(report)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(report.read_text())
    assert [part["result"] for part in record["indexes"]] == ["done", "done"]
    assert len({part["index"] for part in record["indexes"]}) == 2
    assert all(part["index"].startswith("http://127.0.0.1:") for part in record["indexes"])
    assert done.stdout.count("pip installed sample-1.0-py3-none-any.whl") == 2
    entries = {
        (file["filename"], file["attestation"]["log_index"])
        for part in record["indexes"]
        for file in part["files"]
    }
    assert len(entries) == len(FILES)


def test_a_bad_address_stops_before_any_index_is_asked(two: Stage) -> None:
    listed = f"{two.world.upload_url}\nhttp://packages.example.com/legacy/"
    environment = job(two.world, two.folder, repository_url=listed)
    done = run_action(environment)
    assert done.returncode == 2
    assert "packages.example.com" in done.stdout
    assert served(two.world.index_url) == {}


def test_addresses_are_read_a_line_each_and_once() -> None:
    text = " https://test.pypi.org/legacy/ \n\nhttps://upload.pypi.org/legacy/\r\n"
    text += "https://test.pypi.org/legacy/\n"
    settings = understand({"repository-url": text})
    assert settings.repository_urls == (
        "https://test.pypi.org/legacy/",
        "https://upload.pypi.org/legacy/",
    )


def test_a_password_is_not_shown_to_several() -> None:
    listed = "https://test.pypi.org/legacy/\nhttps://upload.pypi.org/legacy/"
    with pytest.raises(WrongUsage, match="password") as caught:
        understand({"repository-url": listed, "password": "geheim"})
    assert "geheim" not in str(caught.value)


def test_verify_asks_one_index(capsys: pytest.CaptureFixture[str]) -> None:
    listed = "https://test.pypi.org/legacy/\nhttps://upload.pypi.org/legacy/"
    with pytest.raises(SystemExit) as caught:
        main(["verify", "sample", "--repository-url", listed])
    assert caught.value.code == 2
    assert "one index" in capsys.readouterr().err
