"""Find the commands in a shell script, without running any of it.

What only looks like a command is none: comments, quoted texts, and here-documents, unless a shell
reads them. The time it takes is in proportion to the script.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LONGEST = 1 << 18
_MOST_COMMANDS = 2000
_DEEPEST = 6

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*)\+?=")
_HEREDOC = re.compile(r"<<(?P<dash>-?)[ \t]*(?P<quote>['\"\\]?)(?P<word>[A-Za-z0-9_.!@%-]+)['\"]?")
_SEPARATORS = frozenset(";&|\n(){}")
_BLANK = frozenset(" \t\r")
_ENDS_A_WORD = (_SEPARATORS | _BLANK | frozenset("<>")) - frozenset("{}")
"""A brace inside a word, as in `dist/*.{whl,gz}`, separates nothing."""

_KEYWORDS = frozenset(
    {"if", "then", "elif", "else", "do", "while", "until", "!", "time", "exec", "command", "eval"}
)


@dataclass(frozen=True)
class Part:
    """A part of a word: a literal text, a variable's name, or (neither) what a run will know."""

    text: str | None = None
    variable: str | None = None
    default: str | None = None


Word = tuple[Part, ...]


@dataclass
class Command:
    """One simple command: its words, the assignments before them, its line in the script.

    `documents` are the here-documents it reads, `target` is the file that its output goes to.
    """

    line: int
    words: list[Word] = field(default_factory=list)
    assignments: list[tuple[str, Word]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    target: str = ""
    end: int = 0
    """The last line of the command."""


@functools.lru_cache(maxsize=256)
def commands(script: str) -> tuple[Command, ...]:
    """Return the commands of a script in order, those inside `$(…)` and `bash -c` included."""
    found: list[Command] = []
    for command in _Lexer(script[:_LONGEST].replace("\r\n", "\n"), 0, 0).commands():
        found.append(command)
        if len(found) >= _MOST_COMMANDS:
            break
    return tuple(found)


def literal(word: Word) -> str | None:
    """Return the text of a word without variables; `None` if it has one."""
    if any(part.text is None for part in word):
        return None
    return "".join(part.text or "" for part in word)


class _Lexer:
    """Reads a script once, character by character."""

    def __init__(self, script: str, line: int, depth: int) -> None:
        self._script = script
        self._at = 0
        self._line = line
        self._depth = depth
        self._inner: list[Command] = []
        self._awaited: list[tuple[str, bool, Command]] = []

    def commands(self) -> Iterator[Command]:
        """Yield the commands."""
        command = Command(self._line)
        while self._at < len(self._script):
            char = self._script[self._at]
            if char in _BLANK:
                self._at += 1
            elif self._script.startswith("\\\n", self._at):
                self._at += 2
                self._line += 1
            elif char == "#":
                self._skip_comment()
            elif char in _SEPARATORS:
                yield from self._finished(command)
                self._at += 1
                if char == "\n":
                    self._line += 1
                    self._read_documents()
                command = Command(self._line)
            elif char in "<>":
                self._redirect(command)
            else:
                self._add_word(command)
        yield from self._finished(command)

    def _finished(self, command: Command) -> Iterator[Command]:
        command.end = self._line
        inner, self._inner = self._inner, []
        yield from inner
        while command.words and literal(command.words[0]) in _KEYWORDS:
            command.words.pop(0)
            self._take_assignments(command)
        if command.words or command.assignments or command.target:
            yield command

    @staticmethod
    def _take_assignments(command: Command) -> None:
        while command.words and (assigned := assignment(command.words[0])):
            command.assignments.append(assigned)
            command.words.pop(0)

    def _add_word(self, command: Command) -> None:
        start = self._line
        word = self._word()
        if not command.words:
            command.line = command.line if command.assignments else start
            if assigned := assignment(word):
                command.assignments.append(assigned)
                return
        command.words.append(word)

    def _skip_comment(self) -> None:
        end = self._script.find("\n", self._at)
        self._at = len(self._script) if end < 0 else end

    def _redirect(self, command: Command) -> None:
        if self._script.startswith("<<<", self._at):
            self._at += 3
            return
        if match := _HEREDOC.match(self._script, self._at):
            self._at = match.end()
            self._awaited.append((match["word"], bool(match["dash"]), command))
            return
        is_output = self._script[self._at] == ">"
        while self._at < len(self._script) and self._script[self._at] in "<>&|":
            self._at += 1
        while self._at < len(self._script) and self._script[self._at] in _BLANK:
            self._at += 1
        if self._at < len(self._script) and self._script[self._at] not in _SEPARATORS:
            word = self._word()
            if is_output and not command.target:
                command.target = "".join(
                    f"${part.variable}" if part.text is None else part.text for part in word
                )

    def _read_documents(self) -> None:
        """Read the here-documents that the line before announced."""
        for word, is_indented, command in self._awaited:
            lines = []
            while self._at < len(self._script):
                end = self._script.find("\n", self._at)
                end = len(self._script) if end < 0 else end
                line = self._script[self._at : end]
                self._at = end + 1
                self._line += 1
                if (line.lstrip("\t") if is_indented else line).rstrip("\r") == word:
                    break
                lines.append(line)
            command.documents.append("\n".join(lines))
        self._awaited.clear()

    def _word(self) -> Word:
        """Read a word up to a blank or a separator."""
        parts: list[Part] = []
        text: list[str] = []

        def flush() -> None:
            if text:
                parts.append(Part("".join(text)))
                text.clear()

        while self._at < len(self._script):
            char = self._script[self._at]
            if char == "\\" and self._at + 1 < len(self._script):
                if self._script[self._at + 1] == "\n":
                    self._line += 1
                else:
                    text.append(self._script[self._at + 1])
                self._at += 2
            elif char == "'":
                end = self._script.find("'", self._at + 1)
                end = len(self._script) if end < 0 else end
                quoted = self._script[self._at + 1 : end]
                text.append(quoted)
                self._line += quoted.count("\n")
                self._at = end + 1
            elif char == '"':
                flush()
                parts += self._quoted()
            elif char in "$`":
                flush()
                parts.append(self._expansion())
            elif char in _ENDS_A_WORD:
                break
            else:
                text.append(char)
                self._at += 1
        flush()
        return tuple(parts) or (Part(""),)

    def _quoted(self) -> list[Part]:
        self._at += 1
        parts: list[Part] = []
        text: list[str] = []
        while self._at < len(self._script) and self._script[self._at] != '"':
            char = self._script[self._at]
            if char == "\\" and self._at + 1 < len(self._script):
                following = self._script[self._at + 1]
                if following == "\n":
                    self._line += 1
                else:
                    text.append(following if following in '"\\$`' else char + following)
                self._at += 2
            elif char in "$`":
                parts.append(Part("".join(text)))
                text.clear()
                parts.append(self._expansion())
            else:
                self._line += char == "\n"
                text.append(char)
                self._at += 1
        self._at += 1
        return [*parts, Part("".join(text))]

    def _expansion(self) -> Part:
        """Read what begins with `$` or a backtick."""
        script, start = self._script, self._at
        if script[start] == "`":
            end = script.find("`", start + 1)
            end = len(script) if end < 0 else end
            self._enter(script[start + 1 : end])
            self._at = end + 1
            return Part()
        if script.startswith("$(", start):
            end = _closing(script, start + 1, "()")
            self._enter(script[start + 2 : end])
            self._at = end + 1
            return Part()
        if script.startswith("${", start):
            end = _closing(script, start + 1, "{}")
            inner = script[start + 2 : end]
            self._at = end + 1
            self._line += inner.count("\n")
            name = _NAME.match(inner)
            rest = inner[name.end() :] if name else inner
            if name and not rest:
                return Part(variable=name[0])
            if name and rest.startswith(":-") and "$" not in rest:
                return Part(variable=name[0], default=rest[2:].strip("\"'"))
            return Part()
        name = _NAME.match(script, start + 1)
        env = re.compile(r"env:", re.IGNORECASE).match(script, start + 1)
        if env and (name := _NAME.match(script, env.end())):
            # PowerShell's.
            self._at = name.end()
            return Part(variable=name[0])
        if name:
            self._at = name.end()
            return Part(variable=name[0])
        self._at += 1
        is_special = self._at < len(script) and script[self._at] in "@*#?!$-0123456789"
        self._at += is_special
        return Part() if is_special else Part("$")

    def _enter(self, script: str) -> None:
        """Read the commands of a substitution, which are run before the command around it."""
        if self._depth < _DEEPEST:
            self._inner += _Lexer(script, self._line, self._depth + 1).commands()
        self._line += script.count("\n")


def _closing(text: str, start: int, marks: str) -> int:
    """Return where what is opened at `start` is closed; the end of the text if it is not."""
    opening, closing = tuple(marks)
    depth = 0
    at = start
    while at < len(text):
        char = text[at]
        if char == "'":
            end = text.find("'", at + 1)
            at = len(text) if end < 0 else end
        elif char == "\\":
            at += 1
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if not depth:
                return at
        at += 1
    return len(text)


def assignment(word: Word) -> tuple[str, Word] | None:
    """Return the name and the value, if a word is an assignment."""
    first = word[0].text
    match = _ASSIGNMENT.match(first) if first else None
    if first is None or match is None:
        return None
    rest = first[match.end() :]
    return match[0].rstrip("=").rstrip("+"), (Part(rest), *word[1:])
