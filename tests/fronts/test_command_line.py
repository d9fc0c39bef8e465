"""How the command is called: help, switches, the guide offline, and completion."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import carried as tool
import pytest

from attested_publish import DOCUMENTATION, __version__
from attested_publish.fronts import cli
from attested_publish.fronts.carried import FOLDER, GUIDE, SHELLS, carried
from attested_publish.fronts.cli import complete_parser, main
from attested_publish.fronts.explain import sections_of
from attested_publish.problems import Topic
from attested_publish.settings import SETTINGS
from support.environment import without_a_job
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parser of the program and of each of its commands."""
    parser = complete_parser()
    yield "", parser
    yield from parser.commands.items()


PARSERS = dict(parsers())
COMMANDS = [name for name in PARSERS if name]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-m", "attested_publish", *map(str, arguments)],
        env={**without_a_job(), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


# Help.


def test_the_version() -> None:
    assert run("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("name", PARSERS)
def test_help_has_examples_that_are_right_and_a_link_that_leads_somewhere(name: str) -> None:
    text = run(*name.split(), "--help").stdout
    examples = re.search(r"\nexamples?:\n((?:  .*\n)+)", text)
    assert examples, text
    called = [
        line for line in examples[1].replace("\\\n", " ").splitlines() if "  attested-" in line
    ]
    assert called
    for line in called:
        words = shlex.split(re.split(r"\s(?:>>?|\|)\s", line)[0], comments=True)[1:]
        if words[0] != "COMMAND":
            assert words[0] == name or not name
            complete_parser().parse_args(words)
    page, _, anchor = re.search(rf"\nmore: {DOCUMENTATION}(\S+)\n$", text)[1].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert not anchor or anchor in {each.lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", PARSERS)
def test_help_says_what_each_argument_is(name: str) -> None:
    parser = PARSERS[name]
    assert parser.description
    for action in parser._actions:
        assert action.help, action
        if action.nargs != 0 and not isinstance(action, argparse._SubParsersAction):
            shown = action.metavar or (action.choices and "choices")
            assert shown, f"{action.option_strings} has the metavar of argparse"
            assert shown != "VALUE"


def test_an_option_of_one_name_is_of_one_kind_in_every_command() -> None:
    kinds: dict[str, set[object]] = {}
    for name in COMMANDS:
        for option, action in PARSERS[name]._option_string_actions.items():
            kinds.setdefault(option, set()).add((type(action).__name__, action.nargs))
    assert {option: kind for option, kind in kinds.items() if len(kind) > 1} == {}


# Switches.

SWITCHES = [each.name for each in SETTINGS if "true" in each.choices or each.name == "version-tag"]


def parsed(*words: str) -> argparse.Namespace:
    return complete_parser().parse_args(words)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("mode", ["publish", "check", "attest", "rehearse"])
def test_a_setting_that_stands_alone_is_true(
    mode: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dist").mkdir()
    option, field = f"--{name}", name.replace("-", "_")
    for words, value, paths in (
        ([option], "true", []),
        ([option, "dist"], "true", ["dist"]),
        (["dist", option], "true", ["dist"]),
        ([option, "no/such/folder"], "true", ["no/such/folder"]),
        ([option, "*.whl"], "true", ["*.whl"]),
        ([option, "--user", "me", "dist"], "true", ["dist"]),
        ([option, "--", "false"], "true", ["false"]),
        ([option, "false", "dist"], "false", ["dist"]),
        ([option, "FALSE"], "FALSE", []),
        ([f"{option}=false", "dist"], "false", ["dist"]),
        ([option, "mistyped"], "mistyped", []),
        ([option, ""], "", []),
    ):
        given = parsed(mode, *words)
        assert (getattr(given, field), given.paths) == (value, paths), words
    assert getattr(parsed(mode), field) is None, "left out, it is its default"


def test_an_abbreviation_is_the_same_switch(tmp_path: Path) -> None:
    given = parsed("check", "--verb", str(tmp_path))
    assert (given.verbose, given.paths) == ("true", [str(tmp_path)])


def test_a_pattern_for_tags_is_no_path() -> None:
    given = parsed("check", "--version-tag", "{project}/v{version}")
    assert (given.version_tag, given.paths) == ("{project}/v{version}", [])


@pytest.mark.parametrize("command", ["verify", "setup"])
def test_verbose_is_a_switch_where_it_is_the_only_setting(command: str, tmp_path: Path) -> None:
    here = str(tmp_path)
    for words, value in (
        ([], False),
        (["--verbose"], True),
        (["--verbose", here], True),
        (["--verbose", "false", here], False),
        (["--verbose=TRUE", here], True),
        (["--verbose", ""], False),
    ):
        assert parsed(command, *words).verbose is value, words
    done = run(command, "--verbose", "perhaps")
    assert done.returncode == 2
    assert "'perhaps'; it must be true or false" in done.stderr


def test_a_wrong_value_is_reported_and_not_taken_for_a_folder() -> None:
    done = run("publish", "--confirm", "perhaps")
    assert done.returncode == 2
    assert "confirm is 'perhaps'" in done.stderr


def test_a_switch_reaches_the_run(dist: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = run("check", "--offline", "--print-hash", "false", "--verbose", dist, "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text("utf-8"))["result"] == "done"


# The guide, offline.


def test_what_the_wheel_carries_is_as_it_should_be() -> None:
    assert {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()} == tool.written(), (
        "make carried"
    )


def test_every_problem_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for topic in Topic:
        assert main(["explain", topic.anchor]) == 0
        by_name = capsys.readouterr().out
        assert by_name.startswith(f"# {topic.value}\n\n")
        for other in (topic.value, topic.value.upper(), topic.link):
            assert main(["explain", *other.split()]) == 0
            assert capsys.readouterr().out == by_name


def test_nothing_of_the_guide_is_left_out() -> None:
    guide = carried(GUIDE)
    sections = sections_of(guide)
    kept = "".join(each.text for each in sections)
    assert guide.count("```") == kept.count("```")
    assert [each.name for each in sections if not each.group] == []
    # The introduction, and the headings.
    lost = len("".join(guide.split())) - len("".join(kept.split()))
    headings = re.findall(r"^#{2,3} .*$", guide, re.MULTILINE)
    introduction = guide.partition("\n## ")[0]
    assert lost == len("".join("".join([introduction, *headings]).split()))


def test_without_a_topic_all_are_listed() -> None:
    done = run("explain")
    listed = re.findall(r"^  (\S+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0
    assert listed == [each.name for each in sections_of(carried(GUIDE))]
    assert {topic.anchor for topic in Topic} < set(listed)


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        (["fodler", "does", "not", "exist"], Topic.FOLDER_MISSING),
        (["3 of 14 files would be refused"], Topic.FILES_WOULD_BE_REFUSED),
        (["trusted", "publisher"], Topic.UNKNOWN_PUBLISHER),
        (["pending"], Topic.PENDING_PUBLISHER_LATE),
    ],
)
def test_an_unknown_topic_suggests_known_ones(asked: list[str], suggested: Topic) -> None:
    done = run("explain", *asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"  {suggested.anchor}\n" in done.stderr


@pytest.mark.parametrize("asked", ["qqq", "", "#", "\x1b[31m::error::x\n", "a-" * 50_000])
def test_a_topic_that_is_like_none(asked: str) -> None:
    done = run("explain", asked)
    assert done.returncode == 2
    assert len(done.stderr) < 1000
    assert "\x1b" not in done.stderr
    assert "\n::" not in done.stderr


def test_links_lead_to_the_documentation() -> None:
    texts = [run("explain", topic.anchor).stdout for topic in (Topic.UNKNOWN_PUBLISHER,)]
    linked = run("explain", Topic.LOCK_UNUSABLE.anchor).stdout
    assert f"]({DOCUMENTATION}docs/verifying-a-lock.md)" in linked
    for text in [*texts, linked]:
        assert not re.search(r"\]\((?!https://)", text)


def read_to_the_end(terminal: int) -> bytes:
    """Return what is printed to a terminal until nobody has it open, and close it."""
    printed = b""
    # Linux reports the end as an error.
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 4096):
            printed += more
    os.close(terminal)
    return printed


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
@pytest.mark.parametrize("columns", [40, 80])
def test_on_a_terminal_lines_end_between_words(columns: int) -> None:
    ours, theirs = os.openpty()
    done = subprocess.Popen(
        [sys.executable, "-I", "-m", "attested_publish", "explain", Topic.FOLDER_MISSING.anchor],
        env={**without_a_job(), "COLUMNS": str(columns)},
        stdout=theirs,
    )
    os.close(theirs)
    printed = read_to_the_end(ours)
    assert done.wait(timeout=60) == 0
    text = printed.decode().replace("\r\n", "\n")
    plain = run("explain", Topic.FOLDER_MISSING.anchor).stdout
    assert text.split() == plain.split()
    paragraph, _, rest = text.partition("```yaml")
    assert all(len(line) <= columns for line in paragraph.splitlines())
    assert rest.rstrip() == plain.partition("```yaml")[2].rstrip(), "examples stay as they are"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
@pytest.mark.parametrize("watched", ["stdout", "stderr"])
def test_what_is_printed_to_standard_error_is_as_wide_as_that(watched: str) -> None:
    termios = pytest.importorskip("termios")
    columns = 40
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    done = subprocess.Popen(
        [
            *(sys.executable, "-I", "-m", "attested_publish", "verify", "sample==1.0", "--pylock"),
            *("--index-url", "http://127.0.0.1:9/simple/", "--sigstore-trust-config", os.devnull),
        ],
        env={name: value for name, value in without_a_job().items() if name != "COLUMNS"},
        stdout=theirs if watched == "stdout" else subprocess.PIPE,
        stderr=theirs if watched == "stderr" else subprocess.PIPE,
    )
    os.close(theirs)
    piped = done.communicate(timeout=60)
    shown = read_to_the_end(ours)
    assert done.returncode == 1
    if watched == "stderr":
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
        assert "trust configuration" in " ".join(plain.split())
        sentences = [line for line in plain.splitlines() if len(line.split()) > 1]
        assert max(map(len, sentences)) <= columns
    else:
        assert not shown
        log = (piped[1] or b"").decode()
        assert "\x1b" not in log
        assert any(len(line) > columns for line in log.splitlines()), "as wide as a log"


# Completion.


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_printed(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert done.stdout == carried(f"completion.{shell}")
    assert all(name in done.stdout for name in COMMANDS)


def test_a_shell_that_is_not_known() -> None:
    done = run("completion", "cmd")
    assert done.returncode == 2
    assert "bash" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="bash may be that of another system there")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ver"], {"verify"}),
        (["check", "--verb"], {"--verbose"}),
        (["check", "--attestations", ""], {"auto", "true", "false"}),
        (["verify", "--verbose", ""], {"true", "false"}),
        (["completion", ""], set(SHELLS)),
        (["explain", "the-folder-"], {Topic.FOLDER_MISSING.anchor}),
        (["check", "--sigstore-trust-config", "con"], {"config.json"}),
        (["check", "di"], {"dist"}),
        (["publish", "--attestations-dir", ""], {"dist"}),
    ],
)
def test_bash_completes(words: list[str], offered: set[str], tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "config.json").touch()
    script = f"""
        source {shlex.quote(str(FOLDER / "completion.bash"))}
        read -ra how <<< "$(complete -p attested-publish)"
        COMP_WORDS=(attested-publish {shlex.join(words)})
        COMP_CWORD={len(words)}
        for ((each = 0; each < ${{#how[@]}}; each++)); do
          [[ ${{how[each]}} = -F ]] && function=${{how[each + 1]}}
        done
        $function attested-publish "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [shutil.which("bash"), "--norc", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(done.stdout.split()) == offered, done.stderr


@pytest.mark.parametrize("name", ["", *sorted(cli.complete_parser().commands)])
def test_help_is_wrapped(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main([*filter(None, [name]), "--help"])
    text, _, examples = capsys.readouterr().out.partition("\nexample")
    assert text
    assert not [line for line in text.splitlines() if len(line) > 80 and "://" not in line]
    assert "attested-publish" in examples or "more: https://" in text + examples
