"""Whether a script does the same without its upload, which becomes a step of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attested_publish.setup.edits import NotChangeable

UPLOAD = re.compile(
    r"(?:(?:python|python3|py)\s+-m\s+|uvx\s+|uv\s+run\s+|uv\s+tool\s+run\s+|pipx\s+run\s+"
    r"|poetry\s+run\s+)?(?:twine\s+upload|uv\s+publish)\b[^;&|<>`]*"
)
_ONLY_FOR_IT = re.compile(
    r"(?:(?:python3?|uv)\s+(?:-m\s+)?)?pip3?\s+install(?:\s+(?:-U|--upgrade|--user|-q|pip|twine"
    r"|setuptools|wheel)(?:[=<>~]=?[\w.]+)?)*|set\s+-\w+(?:\s+pipefail)?|#.*"
)
_HARMLESS = re.compile(
    r"(?:(?:python3?|py)\s+-m\s+)?(?:build|twine\s+check|pip3?\s+(?:install|download|list|--version))\b.*"
    r"|uv\s+(?:build|sync|venv|lock|pip|python|--version)\b.*|uvx\s+twine\s+check\b.*"
    r"|(?:pipx\s+run\s+|uvx\s+)(?:--from\s+\S+\s+)?(?:pyproject-)?build\b.*|(?:hatch|flit|poetry|pdm)\s+build\b.*"
    r"|(?:ls|echo|cat|mkdir|rm|cp|mv|true|pwd|date|tar|unzip|set)\b.*|#.*"
)
"""Commands that need neither a credential nor a permission."""

_FLOW = re.compile(
    r"(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|select|function|time|coproc)\b|[!{}()]"
)
_STATE = re.compile(
    r"(?:cd|pushd|popd|export|declare|typeset|local|readonly|source|alias|unalias|unset|eval|trap|exec"
    r"|exit|return|break|continue|shopt|set|umask|ulimit|wait|shift|read|hash|enable|builtin|command)"
    r"\b|\.\s|[A-Za-z_]\w*\+?=\S*\s*$"
)
_PARTS = re.compile(r"&&|\|\||[;|&]")
_GOES_ON = re.compile(r"(?:\\|&&|\|\||\|)\s*$")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")


def before_upload(lines: Sequence[str], first: int, end: int, line: int) -> list[str]:
    """Return what a script still does without the lines of its upload, all of it before that.

    `first` and `end` are the first and the last of these lines; `line` is that of the script's
    first line in the file. Raises `NotChangeable` unless each of the others is a command of its own
    that the upload does not depend on, and comes before it.
    """
    command = " ".join(each.strip().removesuffix("\\") for each in lines[first : end + 1])
    if not UPLOAD.fullmatch(command.strip()):
        raise NotChangeable("the command is part of a longer one")
    rest = []
    for number, text in enumerate(lines):
        if first <= number <= end or not (bare := text.strip()) or _ONLY_FOR_IT.fullmatch(bare):
            continue
        where = f"line {line + number}"
        if number > end:
            raise NotChangeable(
                f"{where} does something after the upload, and would then come before it"
            )
        if why := _why_not_alone(bare):
            raise NotChangeable(f"{where} {why}, on which the upload may depend")
        rest.append(text)
    return rest


def is_harmless(script: str) -> bool:
    """Whether a script consists of commands that need neither a credential nor a permission."""
    lines = [line.strip() for line in script.splitlines() if line.strip()]
    return all(_HARMLESS.fullmatch(line) and not _why_not_alone(line) for line in lines)


def _why_not_alone(line: str) -> str:
    """Return why a line is no command of its own, or changes those after it; else nothing."""
    plain = _QUOTED.sub("''", line)
    if "<<" in plain or "'" in plain.replace("''", "") or '"' in plain:
        return "has a text that goes on"
    if _GOES_ON.search(plain):
        return "goes on in the next"
    if "GITHUB_ENV" in line or "GITHUB_PATH" in line:
        return "changes what later steps find"
    for part in map(str.strip, _PARTS.split(plain)):
        if _FLOW.match(part) or "()" in part:
            return "is a condition, loop or group"
        if _STATE.match(part) and not _ONLY_FOR_IT.fullmatch(part):
            return f"changes the shell ({part.split()[0]})"
    return ""


def without_uploads(script: str) -> str:
    """Return a script without the lines that upload, each with the lines that it goes on in."""
    kept = []
    goes_on = False
    for line in script.splitlines():
        if not goes_on and not UPLOAD.fullmatch(line.strip().removesuffix("\\").strip()):
            kept.append(line)
            continue
        goes_on = line.rstrip().endswith("\\")
    return "\n".join(kept)
