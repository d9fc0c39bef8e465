"""What runs on macOS keeps to bash 3.2, the newest that Apple ships.

No linter knows that version, and newer ones accept everything below whatever their `compat`
settings are. So here is a table of what came later, each with the version that brought it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

_SHOPT = [
    "cdable_vars",
    "cdspell",
    "checkhash",
    "checkwinsize",
    "cmdhist",
    "compat31",
    "dotglob",
    "execfail",
    "expand_aliases",
    "extdebug",
    "extglob",
    "extquote",
    "failglob",
    "force_fignore",
    "gnu_errfmt",
    "histappend",
    "histreedit",
    "histverify",
    "hostcomplete",
    "huponexit",
    "interactive_comments",
    "lithist",
    "login_shell",
    "mailwarn",
    "no_empty_cmd_completion",
    "nocaseglob",
    "nocasematch",
    "nullglob",
    "progcomp",
    "promptvars",
    "restricted_shell",
    "shift_verbose",
    "sourcepath",
    "xpg_echo",
]
"""The names that shopt has in bash 3.2."""

# Where a command starts, and options that may stand before the one that is looked for.
_COMMAND = r"(?:^|[;&|({{]|\b(?:then|do|else|if|elif|while|until|time)\b|!)\s*(?:{})\b"
_OPTIONS = r"(?:\s+-\w+)*?\s+-[A-Za-z]*"
_DECLARE = _COMMAND.format("declare|local|typeset|readonly|export") + _OPTIONS
_READ = _COMMAND.format("read") + r"(?:\s+[^;|&\n]+?)??\s+-[a-z]*"
_NAME = r"\$\{[#!]?\w+(?:\[[^]]*\])?"
_VARIABLES = (
    "BASHPID|BASH_ARGV0|BASH_COMPAT|BASH_MONOSECONDS|BASH_TRAPSIG|BASH_XTRACEFD|CHILD_MAX"
    "|EPOCHREALTIME|EPOCHSECONDS|FUNCNEST|GLOBSORT|MAPFILE|SRANDOM"
)

NEWER = [
    ("4.0", "case of a value", _NAME + r"(?:,,?|\^\^?)"),
    ("4.0", "associative arrays", _DECLARE + "A"),
    ("4.0", "declare -l, -u", _DECLARE + "[lu]"),
    ("4.2", "declare -g", _DECLARE + "g"),
    ("4.3", "name references", _DECLARE + "n"),
    ("5.1", "local -I", _DECLARE + "I"),
    ("4.4", "local -", _COMMAND.format("local") + r"\s+-(?:\s|;|$)"),
    ("4.3", "unset -n", _COMMAND.format("unset") + r"\s+-n"),
    ("4.0", "mapfile", _COMMAND.format("mapfile|readarray")),
    ("4.0", "coproc", _COMMAND.format("coproc")),
    ("4.0", "&>>", r"&>>"),
    ("4.0", "|&", r"\|&"),
    ("4.0", ";& and ;;&", r";&"),
    ("4.0", "steps and leading zeros in {…}", r"\{(?:-?\w+\.\.-?\w+\.\.|-?0\d+\.\.|\d+\.\.0\d)"),
    ("4.0", "source <(…)", r"(?:\bsource|(?:^|[;&|])\s*\.)\s+<\("),
    ("4.0", "read -i", _READ + "i"),
    ("4.1", "read -N", _READ.replace("a-z", "a-zA-Z") + "N"),
    ("4.0", "read -t with zero or a fraction", _READ + r"t\s*(?:0(?!\d)|\d*\.\d)"),
    ("4.1", "exec {name}>", r"(?:^|\s)\{\w+\}[<>]"),
    ("4.1", "printf -v an element", _COMMAND.format("printf") + r"\s+-v\s+\S*\["),
    ("4.2", "a variable is set: -v", r"(?:\[\[?|\btest|&&|\|\||!)\s+-[vR]\s"),
    ("4.2", "a negative length", r"\$\{[^}]*:[^}:]*:\s*-\d"),
    ("4.2", "a negative subscript", r"\[-\d+\]"),
    ("4.2", "cd -e", _COMMAND.format("cd") + r"\s+-[a-zA-Z]*[e@]"),
    ("4.3", "wait -n, -f, -p", _COMMAND.format("wait") + r"\s+-\w"),
    ("4.4", "transformations", r"\$\{[#!]?(?:\w+(?:\[[^]]*\])?|[@*])@[A-Za-z]"),
    ("5.3", "${ …; }", r"\$\{[\s|]"),
    (
        "4.0 to 5.3",
        "variables",
        rf"(?:\$\{{?[#!]?|\b(?=\w+=))(?:{_VARIABLES})\b",
    ),
]
"""Since which version, what, and what it looks like in code whose texts are blanked out."""

IN_TEXTS = [
    ("4.2", "times in printf", _COMMAND.format("printf") + r"[^\n]*%[-\d]*\([^)\n]*\)T"),
    ("4.2", "$'\\u…'", r"\$'[^'\n]*\\[uU][0-9a-fA-F]"),
]
"""The same for what stands in texts."""


@dataclass
class Code:
    """A script without the words in its comments and texts, and how deep each place is in $(…)."""

    text: str
    depths: list[int]


# In code: what one backslash or single quote begins, and a comment.
_BLANK = re.compile(
    r"""\\. | '[^']*' | \$'(?:\\.|[^'\\])*' | (?<![^\s;&|(])\#[^\n]*""", re.DOTALL | re.VERBOSE
)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_OPENING = re.compile(r"\$\(|\$\{|\(")


def code_of(script: str) -> Code:
    """Blank out comments, and texts save for what is expanded in them."""
    kept, depths, inside, place = [], [], ["("], 0
    while place < len(script):
        mode = inside[-1]
        blank = (_ESCAPED if mode == '"' else _BLANK).match(script, place)
        expanded = re.compile(r"\$\w+").match(script, place)
        opening = _OPENING.match(script, place)
        piece, is_shown = script[place], mode != '"'
        if blank:
            piece, is_shown = blank[0], False
        elif expanded:
            piece, is_shown = expanded[0], True
        elif piece == '"':
            inside.pop() if mode == '"' else inside.append(piece)
            is_shown = False
        elif opening and (opening[0] != "(" or mode in {"(", "$("}):
            piece, is_shown = opening[0], True
            inside.append(piece)
        elif len(inside) > 1 and piece == {"(": ")", "$(": ")", "${": "}"}.get(mode):
            inside.pop()
        kept.append(piece if is_shown else re.sub(r"[^\n]", " ", piece))
        depths += [inside.count("$(")] * len(piece)
        place += len(piece)
    return Code("".join(kept), depths)


def newer_than_3_2(script: str) -> Iterator[str]:
    """What bash 3.2 does not know in a script: `line: since which version, what`."""
    code = code_of(script)
    found = [
        (match.start(), since, what)
        for table, text in ((NEWER, code.text), (IN_TEXTS, script))
        for since, what, pattern in table
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]
    for call in re.finditer(
        _COMMAND.format("shopt") + r"((?:\s+[-\w]+)+)", code.text, re.MULTILINE
    ):
        names = {name for name in call[1].split() if not name.startswith("-")}
        found += [
            (call.start(), "4.0 to 5.3", f"shopt {name}") for name in names.difference(_SHOPT)
        ]
    # Until 4.0 the first ")" of a pattern ended the substitution.
    found += [
        (match.start(), "4.0", "case in $(…)")
        for match in re.finditer(r"\bcase\s[^\n]*\sin\b", code.text)
        if code.depths[match.start()]
    ]
    # Until 4.4 `set -u` took an array without elements for one that is not set.
    filled = set(re.findall(r"(?<![\w$])(\w+)=\(\s*[^\s)]", code.text))
    for match in re.finditer(r"\$\{(\w+)\[[@*]\]\}", code.text):
        before = re.escape(f"${{{match[1]}[@]+") + r"\s?$"
        if match[1] not in filled and not re.search(before, code.text[: match.start()]):
            found.append((match.start(), "4.4", "an array that may be empty"))
    for start, since, what in sorted(found):
        yield f"{1 + script.count(chr(10), 0, start + 1)}: {since}, {what}"


def runs_on_a_mac(job: dict[str, Any]) -> bool:
    return "macos" in str(job.get("runs-on")) + str(job.get("strategy", ""))


def scripts() -> Iterator[tuple[str, str]]:
    for name in ("launch.sh", ".ci/run"):
        yield name, (ROOT / name).read_text(encoding="utf-8")
    for path in (ROOT / "action.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml"))):
        for where, step in steps_on_a_mac(path):
            yield f"{path.name}, {where}", step


def steps_on_a_mac(path: Path) -> Iterator[tuple[str, str]]:
    document = YAML(typ="safe").load(path)
    jobs = {"runs": document["runs"]} if "runs" in document else document["jobs"]
    for name, job in jobs.items():
        if name == "runs" or runs_on_a_mac(job):
            for number, step in enumerate(job.get("steps", []), start=1):
                if "run" in step:
                    yield f"{name}, step {number}", step["run"]


SCRIPTS = dict(scripts())


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_runs_on_macos_needs_no_newer_bash(name: str) -> None:
    assert list(newer_than_3_2(SCRIPTS[name])) == []


def test_the_steps_of_the_action_and_of_jobs_on_a_mac_are_looked_at() -> None:
    kinds = {name.split(",")[0] for name in SCRIPTS}
    assert kinds == {"launch.sh", ".ci/run", "action.yml", "ci.yml"}


BAD = [
    ("4.0, case of a value", 'echo "${name,,}"'),
    ("4.0, case of a value", "echo ${name^}"),
    ("4.0, case of a value", "echo ${names[@]^^}"),
    ("4.0, case of a value", 'x="$(echo "${name,}")"'),
    ("4.0, associative arrays", "declare -A table"),
    ("4.0, associative arrays", "if true; then local -r -A table; fi"),
    ("4.0, declare -l, -u", "typeset -l small"),
    ("4.2, declare -g", "f() { declare -g x=1; }"),
    ("4.3, name references", 'local -n there="$1"'),
    ("5.1, local -I", "local -I x"),
    ("4.4, local -", "f() { local -; set +e; }"),
    ("4.3, unset -n", "unset -n there"),
    ("4.0, mapfile", "mapfile -t lines <file"),
    ("4.0, mapfile", "cat file | readarray lines"),
    ("4.0, coproc", "coproc cat"),
    ("4.0, &>>", "make &>>log"),
    ("4.0, |&", "make |& tee log"),
    ("4.0, ;& and ;;&", "case x in x) echo 1 ;& y) echo 2 ;; esac"),
    ("4.0, ;& and ;;&", "case x in x) echo 1 ;;& y) echo 2 ;; esac"),
    ("4.0, steps and leading zeros in {…}", "echo {1..10..2}"),
    ("4.0, steps and leading zeros in {…}", "echo {01..10}"),
    ("4.0, source <(…)", "source <(make settings)"),
    ("4.0, source <(…)", ". <(make settings)"),
    ("4.0, read -i", "read -e -i default answer"),
    ("4.1, read -N", "while read -rN 4 word; do :; done"),
    ("4.0, read -t with zero or a fraction", "read -r -t 0.5 line"),
    ("4.0, read -t with zero or a fraction", "read -t 0"),
    ("4.1, exec {name}>", "exec {log}>file"),
    ("4.1, printf -v an element", "printf -v 'a[1]' x; printf -v a[1] x"),
    ("4.2, a variable is set: -v", "[[ -v name ]]"),
    ("4.2, a variable is set: -v", "[[ -n $x && -v name ]]"),
    ("4.2, a variable is set: -v", "test -v name"),
    ("4.2, a negative length", 'echo "${name:0:-1}"'),
    ("4.2, a negative length", 'echo "${name: -3: -1}"'),
    ("4.2, a negative subscript", 'names=(a b); echo "${names[-1]}"'),
    ("4.2, cd -e", "cd -Pe folder"),
    ("4.3, wait -n, -f, -p", "wait -n"),
    ("4.4, transformations", 'echo "${name@Q}"'),
    ("4.4, transformations", 'echo "${@@Q}"'),
    ("5.3, ${ …; }", "x=${ echo 1; }"),
    ("4.0 to 5.3, variables", 'kill "$BASHPID"'),
    ("4.0 to 5.3, variables", "echo ${EPOCHSECONDS}"),
    ("4.0 to 5.3, shopt globstar", "shopt -s globstar"),
    ("4.0 to 5.3, shopt lastpipe", "shopt -s nullglob lastpipe"),
    ("4.0 to 5.3, shopt inherit_errexit", "set -e; shopt -s inherit_errexit"),
    ("4.2, times in printf", "printf '%(%F)T' -1"),
    ("4.2, $'\\u…'", r"echo $'\u2713'"),
    ("4.0, case in $(…)", "x=$(case $y in a) echo 1 ;; esac)"),
    ("4.4, an array that may be empty", 'words=(); for word in "${words[@]}"; do :; done'),
    ("4.4, an array that may be empty", "read -a words <<<x; echo ${words[*]}"),
]
GOOD = [
    "# ${name,,} |& it's a comment",
    "echo 'declare -A, ${x^^} |& cat' \"and here: a |& b &>> c\"",
    'words=(); cat ${words[@]+"${words[@]}"}',
    'words=(a); cat "${words[@]}"',
    'echo "${name:0:1}" "${name: -1}" "${name:-1}" "${@:2}"',
    'echo "${name#*,}" "${name//,/;}" "${!name-}"',
    "read -r -d '' -a words <<<x || true; read -t 5 line; printf -v name %s x; wait 5",
    "shopt -s nullglob; case $x in a) echo b ;; esac; echo {1..10}; x=$(cat <&3); exec 3>file",
    'x+=1; [[ $x =~ a ]]; while read -r x; do :; done < <(cat file); make &>log; echo "$#" ${#x}',
]


@pytest.mark.parametrize(("said", "line"), BAD, ids=[line for _, line in BAD])
def test_a_newer_construct_is_found(said: str, line: str) -> None:
    assert f"2: {said}" in list(newer_than_3_2(f"set -eu\n{line}\n"))


def test_every_kind_is_shown_to_be_found() -> None:
    assert {f"{since}, {what}" for since, what, _ in NEWER + IN_TEXTS} <= {said for said, _ in BAD}


@pytest.mark.parametrize("line", GOOD)
def test_what_bash_3_2_knows_is_left_alone(line: str) -> None:
    assert list(newer_than_3_2(line)) == []
