"""The step summary of a good day and of a bad one: what it says, and that it fits."""

from __future__ import annotations

import hashlib
import itertools
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from attested_publish.findings import Finding, Severity
from attested_publish.fronts.markdown import escaped, fence, prose
from attested_publish.fronts.summary import summary
from attested_publish.report import (
    AttestationReport,
    FileReport,
    ProblemReport,
    Report,
    Result,
    Status,
)
from support.action import act, act_soon
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


def links(text: str) -> list[str]:
    """Return the targets of all links."""
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text)
    return [
        str(child.attrs["href"])
        for token in tokens
        for child in token.children or ()
        if child.type == "link_open"
    ]


def large_report(files: int, name: str = "sample-1.0-{}-py3-none-any.whl") -> Report:
    """Return the report of a release, with everything that a file can have."""
    report = Report(mode="publish", index="https://upload.pypi.org/legacy/", result=Result.DONE)
    report.story.index_name = "PyPI"
    report.story.is_log_public = True
    report.story.consumers_see = {"kind": "GitHub", "repository": "o/r", "workflow": "w.yml"}
    report.story.improvements.append("The job runs in no environment.")
    report.story.elapsed = 100.0
    report.seconds["upload"] = 98.0
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


def test_what_took_how_long(stage: Stage) -> None:
    stage.fault("upload=slow:0.4*1")
    outcome = act(stage)
    told = re.search(r"in (\d+\.\d) s \((.*)\)\.", outcome.summary.splitlines()[2])
    assert told is not None
    stages = dict(each.split(" ") for each in told[2].split(", "))
    assert float(stages["upload"]) >= 0.4
    assert {name: float(spent) for name, spent in stages.items()} == {
        name: pytest.approx(spent, abs=0.051)
        for name, spent in outcome.report["seconds"].items()
        if spent >= 0.0501 or name in stages
    }
    assert float(told[1]) >= sum(map(float, stages.values())) - 0.3


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
    assert not links(text), "its addresses end with it"


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
    for heading in ("What to improve", "The identity that consumers see"):
        assert f"### {heading}\n" in text
    assert text.count("<details>") == text.count("</details>") == 2
    assert text.endswith("</sub>\n")


def test_a_small_limit_is_kept() -> None:
    assert 1000 < len(summary(large_report(500), 2000).encode()) <= 2000


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


@pytest.mark.parametrize("number", [1, 12])
def test_what_was_found_is_there_once_above_the_table(tmp_path: Path, number: int) -> None:
    """And what to do is above it, whatever was found."""
    dist = tmp_path / "dist"
    for each in range(number):
        make_wheel(dist, f"sample{each}", version=f"1.{each}+local")
    with staged(dist) as stage:
        outcome = act(stage, mode="check")
    text = outcome.summary
    found = [
        (file["filename"], finding["message"])
        for file in outcome.report["files"]
        for finding in file["findings"]
        if finding["severity"] == "error"
    ]
    assert len(found) == number
    for filename, message in found:
        assert text.count(message.replace("_", "\\_")) == 1
        assert filename in outcome.report["problems"][0]["detail"], "the report is complete"
    remedies = {
        finding["remedy"] for file in outcome.report["files"] for finding in file["findings"]
    }
    for remedy in remedies:
        assert text.count(prose(remedy)) == 1
    parts = ["**What to do:**", "### What the checks found", found[0][1], "| file | size"]
    assert [text.index(each) for each in parts] == sorted(text.index(each) for each in parts)
    assert text.index(parts[0]) < 1000
    folds = re.findall(r"<details><summary>and (\d+) more findings?</summary>", text)
    listed = len(re.findall(r"^- (?:❌|⚠️)", text, re.MULTILINE))
    assert folds == ([str(listed - 10)] if listed > 10 else [])
    assert bool(folds) is (number > 10)
    assert text.count("<details>") == text.count("</details>")
    # The log lists them as well, and then not all again.
    assert ("… and 2 more, as listed above." in outcome.log) is (number > 10)


def test_a_long_account_is_folded_below_what_to_do() -> None:
    detail = "\n".join(f"line {number}" for number in range(30))
    problem = ProblemReport("upload", "It failed", detail, "Do this.", None, "https://example.org/")
    report = Report("publish", "https://upload.pypi.org/legacy/", problems=[problem])
    text = summary(report, LIMIT)
    assert all(len(re.findall(rf"\bline {number}\b", text)) == 1 for number in range(30))
    assert text.index("line 9") < text.index("Do this.") < text.index("<details>")
    assert text.index("<details>") < text.index("line 10 ")
    # The last line says what is public.
    assert text.index("line 29") < text.index("Do this.")
    assert "and 19 more lines" in text


def test_only_known_addresses_are_links() -> None:
    others = ("https://evil.example/x", "https://pypi.org.evil.example/", "http://pypi.org/x")
    here = ("http://127.0.0.1:8080/simple/", "http://localhost/", "http://[::1]:1/x")
    for address in (*here, *others):
        assert prose(f"see {address}, or") == f"see `{address}`, or"
    assert prose("see https://pypi.org/x.") == "see <https://pypi.org/x>."


@pytest.mark.parametrize("text", ["- x", "+ x", "1. x", "12) x", "---", "===", "=", "- - x", "# x"])
def test_no_text_begins_a_list_or_a_heading(text: str) -> None:
    for literal in (prose(text), escaped(text)):
        for page in (literal, f"above\n{literal}", f"- {literal}"):
            html = MarkdownIt("gfm-like", {"linkify": False}).render(page)
            assert html.count("<li>") == page.startswith("- ")
            assert not re.search("<h[1-6r]", html)
            assert text in html


def test_a_fence_keeps_every_blank() -> None:
    lines = ["+  push:", "-      - uses: x", "  a  b", "\t- tab"]
    (fenced,) = blocks(fence(lines, "diff"), "diff")
    assert fenced == "\n".join(lines).replace("\t", "\\t") + "\n"


@pytest.mark.parametrize("limit", [*range(0, 6000, 97), 20_000])
def test_every_limit_is_kept(limit: int) -> None:
    report = large_report(30)
    report.result = Result.REFUSED
    report.problems.append(
        ProblemReport("rules", "Refused", "why\n" * 40, "Do this.", None, "https://pypi.org/")
    )
    for file in report.files.values():
        file.findings.append(Finding("some-rule", Severity.ERROR, f"Of {file.filename}.", "Do it."))
    text = summary(report, limit)
    assert len(text.encode()) <= limit
    assert text.count("<details>") == text.count("</details>")


def test_a_rehearsal_names_no_identity_to_pin(stage: Stage) -> None:
    """Its job is made up, or is not the one that will publish."""
    assert "identity that consumers see" not in act(stage, mode="rehearse").summary


def test_what_was_not_published_has_no_page(stage: Stage) -> None:
    stage.fault("upload=403*9")
    outcome = act(stage)
    assert outcome.status == 1
    assert "says about the provenance" not in outcome.summary


def test_the_stage_in_which_a_run_was_stopped_has_its_time(stage: Stage) -> None:
    stage.fault("upload=hang")
    outcome = act_soon(stage, 2.5)
    assert outcome.report["seconds"].get("upload", 0) > 0.5, outcome.report["seconds"]
    assert "upload " in outcome.summary.splitlines()[2]
