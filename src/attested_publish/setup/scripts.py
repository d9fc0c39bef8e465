"""Whether a script does the same without its upload, which becomes a step of its own.

Shells can hide anything, so only lines of a few plain forms are taken for what they seem to be.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from attested_publish.setup.edits import NotChangeable

_UPLOAD = re.compile(
    r"(?:(?:python|python3|py)\s+-m\s+|uvx\s+|uv\s+run\s+|uv\s+tool\s+run\s+|pipx\s+run\s+"
    r"|poetry\s+run\s+)?(?P<tool>twine\s+upload|uv\s+publish)\b(?P<rest>[^;&|<>`\\(){}#]*)"
)
_TOOLS = re.compile(
    r"(?:(?:python3?|uv)\s+(?:-m\s+)?)?pip3?\s+install(?:\s+(?:-U|--upgrade|--user|-q|pip|twine"
    r"|setuptools|wheel)(?:[=<>~]=?[\w.]+)?)*"
)
"""Installs what the upload needs, and nothing else."""

_COMMANDS = (
    r"(?:(?:python3?|py)\s+-m\s+)?(?:build|twine\s+check|pip3?\s+(?:install|download|list))"
    r"|uv\s+(?:build|sync|venv|lock|pip)|uvx\s+twine\s+check|(?:pipx\s+run|uvx)\s+build"
    r"|(?:hatch|flit|poetry|pdm)\s+build|ls|echo|cat|mkdir|true|pwd|date"
)
_WORDS = r"(?:\s[\w\s./=*@:+,'\"-]*)?"
_HARMLESS = re.compile(rf"(?:{_COMMANDS}){_WORDS}")
"""Commands that need neither a credential nor a permission."""

_PLAIN = re.compile(rf"(?:{_COMMANDS}|make){_WORDS}")
"""Commands that neither decide whether those after them run, nor change anything for these."""

_SET = re.compile(r"set\s+-[eux]+(?:o\s+pipefail)?")
_SECRET = re.compile(
    r"(?P<option>\s(?:-u|--username|-p|--password|--token|-t)[ =]\s*)(?P<quote>['\"]?)"
    r"(?:\$\{\{\s*(?:secrets|vars)\.\w+\s*\}\}|\$\{\w+\})(?P=quote)(?=\s|$)"
)
"""An option that signs in, with what GitHub puts there, or a variable: it goes with the upload."""

_FLAGS = {"--skip-existing", "--non-interactive", "--verbose", "--disable-progress-bar"}
_WITH_VALUE = {
    *("-r", "--repository", "--repository-url", "-u", "--username", "-p", "--password"),
    *("--token", "--publish-url", "--index", "--trusted-publishing"),
}


def before_upload(
    lines: Sequence[str], first: int, end: int, line: int, *, keeps_tools: bool = False
) -> list[str]:
    """Return what a script still does without the lines of its upload, all of it before that.

    `first` and `end` are the first and the last of these lines; `line` is that of the script's
    first line in the file. With `keeps_tools`, so does what installs them. Raises `NotChangeable`
    unless the upload is a command of its own, and all else are plain commands before it.
    """
    _refuse_options(command_in(lines[first : end + 1]))
    rest = []
    for number, text in enumerate(lines):
        bare = text.strip()
        if first <= number <= end or not bare or bare.startswith("#") or _SET.fullmatch(bare):
            continue
        if _TOOLS.fullmatch(bare) and not keeps_tools:
            continue
        if number > end:
            raise NotChangeable(
                f"line {line + number} does something after the upload, and would then come "
                "before it"
            )
        if not _PLAIN.fullmatch(bare):
            raise NotChangeable(
                f"line {line + number} is no plain command, so the upload may depend on it"
            )
        rest.append(text)
    return rest


def command_in(lines: Sequence[str]) -> str:
    """Return the command that is written in some lines."""
    return " ".join(each.strip().removesuffix("\\").strip() for each in lines).strip()


def without_secrets(line: str) -> str:
    """Return a line of an upload with a placeholder for each user and password from a secret."""
    return _SECRET.sub(r"\g<option>SECRET", line)


def is_harmless(script: str) -> bool:
    """Whether a script consists of commands that need neither a credential nor a permission."""
    lines = [line.strip() for line in script.splitlines()]
    return all(
        not line or line.startswith("#") or _SET.fullmatch(line) or _HARMLESS.fullmatch(line)
        for line in lines
    )


def without_uploads(script: str) -> str:
    """Return a script without the lines that upload, each with the lines that it goes on in."""
    kept = []
    goes_on = False
    for line in script.splitlines():
        if not goes_on and not _UPLOAD.fullmatch(command_in([line])):
            kept.append(line)
            continue
        goes_on = line.rstrip().endswith("\\")
    return "\n".join(kept)


def _refuse_options(command: str) -> None:
    found = _UPLOAD.fullmatch(command)
    if found is None or "${{" in command:
        raise NotChangeable("the command is part of a longer one, or depends on an expression")
    try:
        words = shlex.split(found["rest"])
    except ValueError as error:
        raise NotChangeable("the command has a quotation mark that is left over") from error
    while words:
        word = words.pop(0)
        name, has_value, _ = word.partition("=")
        if name in _WITH_VALUE and not has_value and words:
            words.pop(0)
        elif word.startswith("-") and name not in _WITH_VALUE | _FLAGS:
            raise NotChangeable(f"the command has {name}")
