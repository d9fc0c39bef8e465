"""The step summary of a good day and of a bad one: what it says, and that it fits."""

from __future__ import annotations

import hashlib
import itertools
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from attested_publish.fronts.summary import summary
from attested_publish.report import AttestationReport, FileReport, Report, Result, Span, Status
from support.action import act
from support.makers import make_release, make_wheel
from support.releases import SDIST, WHEEL, registry_of, staged

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

LIMIT = 1 << 20


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, as a Markdown parser finds them."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of all tables."""
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text)
    found: list[list[str]] = []
    for token, inner in itertools.pairwise(tokens):
        if token.type == "tr_open":
            found.append([])
        elif token.type in {"td_open", "th_open"}:
            found[-1].append(inner.content)
    return found


def large_report(files: int, name: str = "sample-1.0-{}-py3-none-any.whl") -> Report:
    """Return the report of a release, with everything that a file can have."""
    report = Report(mode="publish", index="https://upload.pypi.org/legacy/", result=Result.DONE)
    report.story.index_name = "PyPI"
    report.story.is_log_public = True
    report.story.consumers_see = {"kind": "GitHub", "repository": "o/r", "workflow": "w.yml"}
    report.story.improvements.append("The job runs in no environment.")
    report.story.timeline.append(Span("upload", 0.0, 100.0))
    for number in range(files):
        filename = name.format(number)
        report.files[filename] = FileReport(
            filename,
            "sample",
            "1.0",
            1000,
            hashlib.sha256(filename.encode()).hexdigest(),
            status=Status.UPLOADED,
            attestations=[AttestationReport("publish", 1_000_000 + number, "identity")],
            url=f"https://files.example.org/packages/aa/bb/{'c' * 60}/{filename}",
            provenance_url=f"https://pypi.org/integrity/sample/1.0/{filename}/provenance",
        )
    return report


def test_a_release(dist: Path) -> None:
    with staged(dist, claims={"environment": "pypi"}) as stage:
        outcome = act(stage)
        text = outcome.summary
        host = stage.world.upload_url.split("/")[2]
        assert text.startswith(f"## ✅ sample 1.0 published on {host}\n")
        assert f"[sample 1.0](<http://{host}/project/sample/1.0/>)" in text
        head, *files = rows(text)
        assert head == ["file", "size", "sha256", "status", "log entry", "provenance"]
        assert [row[3] for row in files] == ["✅ uploaded"] * 2
        served = stage.served()
        for row in files:
            name = re.search(r"\[(.*?)\]", row[0])
            assert name is not None
            file = served[name[1].replace("\\", "")]
            assert row[2].strip("`…") == file["hashes"]["sha256"][:16]
            assert row[5] == f"[provenance](<{file['provenance']}>)"
            assert row[4].isdecimal(), "this world's log is not the public one"
        (digests,) = blocks(text, "text")
        for line in digests.splitlines():
            digest, name_in_full = line.split("  ")
            assert hashlib.sha256((dist / name_in_full).read_bytes()).hexdigest() == digest
        assert "What to improve" not in text


def test_the_identity_to_pin_is_the_one_that_is_served(dist: Path) -> None:
    """Without the job's environment where the publisher names none, as PyPI has it."""
    for registered, expected in (("", {}), ("pypi", {"environment": "pypi"})):
        registry = registry_of("sample", environment=registered)
        with staged(dist, registry=registry, claims={"environment": "pypi"}) as stage:
            (pin,) = blocks(act(stage).summary, "toml")
            assert tomllib.loads(pin) == {
                "packages": {
                    "attestation-identities": [
                        {
                            "kind": "GitHub",
                            "repository": "octo-org/sample-project",
                            "workflow": "release.yml",
                            **expected,
                        }
                    ]
                }
            }


def test_the_timeline(stage: Stage) -> None:
    outcome = act(stage)
    (gantt,) = blocks(outcome.summary, "mermaid")
    sections = re.findall(r"^    section (.*)$", gantt, re.MULTILINE)
    # Some stages run twice.
    assert list(dict.fromkeys(sections)) == list(outcome.report["seconds"])
    tasks = re.findall(r"^    \d+\.\d s : (\d+), (\d+)ms$", gantt, re.MULTILINE)
    assert len(tasks) == len(sections)
    starts = [int(start) for start, _ in tasks]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("claims", "inputs", "words"),
    [
        ({"environment": ""}, {}, "The job has no environment"),
        ({"ref": "refs/heads/main"}, {}, "The release comes from refs/heads/main"),
        ({}, {"password": "token"}, "Uploading with a password"),
    ],
)
def test_what_to_improve(
    dist: Path, claims: dict[str, str], inputs: dict[str, str], words: str
) -> None:
    with staged(dist, claims={"environment": "pypi", **claims}) as stage:
        if inputs:
            inputs = {"password": stage.world.index.add_user_token()}
        text = act(stage, **inputs).summary
        assert "### What to improve\n" in text
        assert words in text.partition("### What to improve")[2]


def test_check_has_its_verdict_first(stage: Stage) -> None:
    text = act(stage, mode="check").summary
    assert text.startswith("## ✅ Nothing prevents publishing sample 1.0\n")
    assert "The trusted publisher was not checked" in text
    assert rows(text)[0] == ["file", "size", "sha256", "status"]
    make_wheel(stage.folder, version="1.0+local")
    text = act(stage, mode="check").summary
    assert text.startswith("## ❌ ")
    assert "would be refused" in text.splitlines()[0]
    assert "+local" in text


def test_rehearse_has_its_verdict_first(stage: Stage) -> None:
    text = act(stage, mode="rehearse").summary
    assert text.startswith("## ✅ The rehearsal passed: sample 1.0 can be published\n")
    assert "nothing has left it" in text
    assert "/provenance" not in text, "its addresses end with it"


def test_attest_has_its_verdict_first(stage: Stage) -> None:
    assert act(stage, mode="attest").summary.startswith("## ✅ sample 1.0 signed\n")


def test_trouble_comes_first_in_a_table(stage: Stage) -> None:
    stage.fault("upload=slow:0.01*1")
    stage.fault("upload=403*1")
    files = rows(act(stage).summary)[1:]
    assert [row[3] for row in files] == ["❌ refused", "✅ uploaded"]
    assert SDIST in files[0][0]
    assert WHEEL in files[1][0]


@pytest.mark.parametrize("name", ["sample-1.0-{}-py3-none-any.whl", "s" * 190 + "-1.0-{}.whl"])
def test_five_hundred_files_fit_with_everything(name: str) -> None:
    report = large_report(500, name)
    text = summary(report, LIMIT)
    assert len(text.encode()) <= LIMIT
    assert len(rows(text)) == 501
    assert "<details><summary>All 500 files (✅ uploaded: 500)</summary>" in text
    assert all(file.sha256 in text for file in report.files.values())
    assert "[1000499](<https://search.sigstore.dev/?logIndex=1000499>)" in text
    assert "more lines" not in text


def test_what_does_not_fit_leaves_room_for_the_rest() -> None:
    report = large_report(20_000)
    text = summary(report, LIMIT)
    assert len(text.encode()) <= LIMIT
    assert "more lines; see the JSON report" in text
    for heading in ("What to improve", "The identity that consumers see", "Timeline"):
        assert f"### {heading}\n" in text
    assert text.count("<details>") == text.count("</details>") == 2
    assert text.endswith("</sub>\n")


def test_a_small_limit_is_kept() -> None:
    assert len(summary(large_report(500), 2000).encode()) <= 2000


def test_several_projects(tmp_path: Path) -> None:
    for name in ("alpha", "beta", "gamma", "delta"):
        make_release(tmp_path / "dist", name)
    with staged(tmp_path / "dist") as stage:
        text = act(stage).summary
        assert text.startswith("## ✅ alpha 1.0, beta 1.0, delta 1.0 and 1 more published on")
        assert text.count("/project/") == 4


def test_markup_in_names_is_shown_as_it_is() -> None:
    report = large_report(1, "a|b`c`<img src=x>[d](e)-{}.whl")
    text = summary(report, LIMIT)
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)
    assert "<img" not in html
    assert rows(text)[1][1] == "1.0 kB", "no cell of its own"


def test_a_summary_needs_no_files() -> None:
    report: Any = Report(mode="publish", index="https://upload.pypi.org/legacy/")
    assert summary(report, LIMIT).startswith("## ❌ The release was not published: failed")
