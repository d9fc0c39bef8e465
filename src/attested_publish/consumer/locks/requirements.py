"""Read requirements with hashes, by pip's rules for lines, options and included files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from optparse import OptionParser, OptParseError, Values
from typing import Final, NoReturn

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from attested_publish.consumer.locks.entries import (
    Hashes,
    bounded_indexes,
    index_address,
    is_own,
    last_segment,
    normalized,
    plain,
    source_of,
)
from attested_publish.consumer.locks.model import Gap, LockedPackage, Remark, Source
from attested_publish.consumer.locks.toml import Broken
from attested_publish.distributions import release_of
from attested_publish.net.untrusted import shown

Beside = Callable[[str], bytes | None]
"""Returns the content of a file, by its path relative to the lock's folder."""

DEEPEST: Final = 8
MOST_FILES: Final = 100
MOST_WORDS: Final = 10_000
"""In one requirement with its hashes."""
MOST_ENTRIES: Final = 20_000
"""Requirements and lines of options, in all files together: each takes half a millisecond."""
LONGEST: Final = 16 << 10
"""Characters of one requirement without its hashes: packaging takes quadratic time for versions."""
LARGEST: Final = 32 << 20
"""Bytes of all included files together."""

_COMMENT = re.compile(r"(?<!\S)#")
_COMMENT_LINE = re.compile(r"\s*#")
_ENCODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_HARMLESS_ENCODINGS = {"ascii", "us-ascii", "utf-8", "utf8"}
_LINE_ENDS = re.compile("[\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]|\r(?!\n)")
"""What Python, and so pip, takes for the end of a line, and editors do not."""
_SHA256 = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{64}(?![0-9A-Za-z])")
_PIECE = re.compile(
    r"""'(?P<single>[^']*)'|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"|\\(?P<escaped>.)"""
    r"""|(?P<bare>[^\s'"\\]+)|(?P<broken>['"\\])"""
)
_EGG = re.compile(r"[#&]egg=([^&\[]+)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z+]+\+|file:")

_WEB = re.compile(r"https?://", re.IGNORECASE)
_ARCHIVE = re.compile(r"[^\s@]+\.(whl|zip|tgz|tbz|txz|tar(\.\w+)?)", re.IGNORECASE)

_FLAGS = (
    ("--no-index",),
    ("--pre",),
    ("--prefer-binary",),
    ("--require-hashes",),
    ("--no-require-hashes",),
)
_WITH_VALUE = (
    ("--no-binary",),
    ("--only-binary",),
    ("--all-releases",),
    ("--only-final",),
    ("--trusted-host",),
    ("--use-feature",),
    ("--global-option",),
    ("--install-option",),
    ("--config-settings",),
    ("--uploaded-prior-to",),
    ("--process-dependency-links",),
)


class _Options(OptionParser):
    """The options that pip knows in files of requirements; abbreviations included, as in pip."""

    def __init__(self) -> None:
        super().__init__(add_help_option=False)
        self.add_option("-r", "--requirement", action="append")
        self.add_option("-c", "--constraint", action="append")
        self.add_option("-e", "--editable", action="append")
        self.add_option("-i", "--index-url", "--pypi-url", dest="index_url")
        self.add_option("--extra-index-url", action="append")
        self.add_option("-f", "--find-links", action="append")
        self.add_option("--hash", action="append")
        for names in _FLAGS:
            self.add_option(*names, action="store_true")
        for names in _WITH_VALUE:
            self.add_option(*names, action="append")

    def error(self, msg: str) -> NoReturn:
        """Raise what is wrong, instead of ending the program."""
        raise OptParseError(msg)


_OPTIONS = _Options()


@dataclass(frozen=True)
class _Line:
    """A logical line: `number` is where it starts, `digests` the lines of its hashes."""

    text: str
    number: int
    digests: Mapping[str, int]


@dataclass
class _Reading:
    """What has been found in the file and those that it includes."""

    beside: Beside
    packages: list[LockedPackage] = field(default_factory=list)
    constrained: list[LockedPackage] = field(default_factory=list)
    index_url: str | None = None
    extra: list[str] = field(default_factory=list)
    no_index: bool = False
    read: set[tuple[str, bool]] = field(default_factory=set)
    entries: int = 0
    size: int = 0

    def count_entry(self) -> None:
        """Count a requirement or a line of options. Raises `Broken` if it is one too many."""
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            raise Broken(f"it is beyond the {MOST_ENTRIES:,} lines that are read.")


def read_requirements(text: str, path: str, beside: Beside) -> list[LockedPackage]:
    """Return the requirements of a file and of those that it includes. Raises `Broken`.

    As in pip, options for indexes count for all lines, wherever they are, and hashes may be in
    constraints: an entry of a constraints file counts if it has hashes, and then for requirements
    without any, too.
    """
    reading = _Reading(beside)
    _read_file(reading, text, "", path, trail=(posixpath.basename(path),), is_constraint=False)
    hashed = {each.name for each in reading.constrained}
    kept = [each for each in reading.packages if each.files or each.name not in hashed]
    index_urls = () if reading.no_index else _index_urls(reading)
    return [
        replace(each, index_urls=index_urls) if each.source is Source.INDEX else each
        for each in [*kept, *reading.constrained]
    ]


def decoded(content: bytes) -> str:
    """Decode a file as pip does: by its byte order mark, else UTF-8. Raises `Broken`.

    Another encoding, declared in a comment as in Python's source, is refused.
    """
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Broken(f"Line {line} is not UTF-8.", line) from error
    for number, line_text in enumerate(text.split("\n", 2)[:2], 1):
        declared = _ENCODING.match(line_text)
        if declared and declared[1].lower() not in _HARMLESS_ENCODINGS:
            raise Broken(f"It is declared as {shown(declared[1], 40)}; only UTF-8 is read.", number)
    found = _LINE_ENDS.search(text)
    if found or "\0" in text:
        start = found.start() if found else text.index("\0")
        line = text.count("\n", 0, start) + 1
        char = f"U+{ord(text[start]):04X}"
        raise Broken(f"Line {line} contains {char}, which hides where lines end.", line)
    return text


def _index_urls(reading: _Reading) -> tuple[str, ...]:
    named = [*([reading.index_url] if reading.index_url else []), *reading.extra]
    return bounded_indexes(map(index_address, named))


def _read_file(
    reading: _Reading,
    text: str,
    folder: str,
    path: str,
    *,
    trail: tuple[str, ...],
    is_constraint: bool,
) -> None:
    """Read one file; `folder` is its own, relative to the lock's, `trail` the files so far."""
    for line in _logical_lines(text):
        try:
            reading.count_entry()
            requirement, options = _split(line.text)
            if requirement or options.editable:
                _refuse_options(options)
            else:
                _take_options(reading, options)
            found = _entry(requirement, options, line, path)
        except Broken as error:
            raise _in_file(error, path, trail, line.number) from error
        if found is not None and not is_constraint:
            reading.packages.append(found)
        elif found is not None and found.files and found.source is Source.INDEX:
            reading.constrained.append(found)
        included = [
            *((name, is_constraint) for name in _each(options.requirement)),
            *((name, True) for name in _each(options.constraint)),
        ]
        for name, constrains in included:
            _include(
                reading,
                name,
                folder=folder,
                path=path,
                line=line,
                trail=trail,
                is_constraint=constrains,
            )


def _in_file(error: Broken, path: str, trail: Sequence[str], line: int) -> Broken:
    """Say in which line, and which included file, an error is."""
    where = f" of {shown(path, 200)}" if len(trail) > 1 else ""
    return Broken(f"Line {line}{where}: {error.why}", line)


def _include(
    reading: _Reading,
    name: str,
    *,
    folder: str,
    path: str,
    line: _Line,
    trail: tuple[str, ...],
    is_constraint: bool,
) -> None:
    """Read a file that another includes, once: below the lock's folder, without a loop."""
    target = posixpath.normpath(posixpath.join(folder, name.replace("\\", "/")))
    why = ""
    if "://" in name or name.startswith("file:"):
        why = f"It includes an address, {shown(plain(name), 200)}, which is not fetched."
    elif posixpath.isabs(target) or target.partition("/")[0] == ".." or ":" in target:
        why = f"It includes {shown(name, 200)}, which is not below the lock's folder."
    elif target in trail:
        why = f"It includes {shown(name, 200)}, which includes it."
    elif len(trail) > DEEPEST or len(reading.read) >= MOST_FILES:
        why = f"It includes files more than {DEEPEST} deep, or more than {MOST_FILES} of them."
    if why:
        raise _in_file(Broken(why), path, trail, line.number)
    if (target, is_constraint) in reading.read:
        return
    reading.read.add((target, is_constraint))
    content = reading.beside(target)
    if content is None:
        missing = Broken(f"It includes {shown(name, 200)}, which could not be read.")
        raise _in_file(missing, path, trail, line.number)
    reading.size += len(content)
    if reading.size > LARGEST:
        large = Broken(f"It includes files of more than {LARGEST >> 20} MiB.")
        raise _in_file(large, path, trail, line.number)
    own = posixpath.join(posixpath.dirname(path), posixpath.relpath(target, folder or "."))
    own = posixpath.normpath(own)
    try:
        text = decoded(content)
    except Broken as error:
        raise _in_file(error, own, (*trail, target), error.line or 1) from error
    _read_file(
        reading,
        text,
        posixpath.dirname(target),
        own,
        trail=(*trail, target),
        is_constraint=is_constraint,
    )


def _logical_lines(text: str) -> Iterator[_Line]:
    """Join lines that end with a backslash, and remove comments, by pip's rules."""
    pieces: list[str] = []
    digests: dict[str, int] = {}
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        is_comment = _COMMENT_LINE.match(line) is not None
        if not pieces:
            start, digests = number, {}
        for found in _SHA256.finditer(line):
            digests.setdefault(found[0].lower(), number)
        if line.endswith("\\") and not is_comment:
            pieces.append(line.strip("\\"))
            continue
        pieces.append(f" {line}" if is_comment else line)
        yield from _without_comment(pieces, start, digests)
        pieces = []
    yield from _without_comment(pieces, start, digests)


def _without_comment(pieces: list[str], start: int, digests: dict[str, int]) -> Iterator[_Line]:
    joined = "".join(pieces)
    comment = _COMMENT.search(joined)
    text = joined[: comment.start() if comment else None].strip()
    if text:
        yield _Line(text, start, digests)


def _split(line: str) -> tuple[str, Values]:
    """Split a line into a requirement and options: these begin with the first word with `-`."""
    words = line.split(" ")
    at = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
    rest = " ".join(words[at:])
    arguments = _words(rest) if any(each in rest for each in "'\"\\") else rest.split()
    if len(arguments) > MOST_WORDS:
        raise Broken(f"it has more than {MOST_WORDS:,} words.")
    try:
        options, others = _OPTIONS.parse_args(arguments)
    except OptParseError as error:
        raise Broken(f"{shown(error, 200)}.") from error
    if others:
        raise Broken(f"{shown(' '.join(others[:3]), 100)} is out of place.")
    return " ".join(words[:at]).strip(), options


def _words(text: str) -> list[str]:
    """Split options as a shell does, which `shlex` does in quadratic time."""
    words: list[str] = []
    end = -1
    for piece in _PIECE.finditer(text):
        if piece["broken"]:
            raise Broken("a quotation mark or backslash is left over.")
        single, double, escaped, bare = piece.group("single", "double", "escaped", "bare")
        if double is not None:
            double = re.sub(r'\\(["\\])', r"\1", double)
        word = next(each for each in (single, double, escaped, bare) if each is not None)
        if piece.start() == end:
            word = words.pop() + word
        words.append(word)
        end = piece.end()
    return words


def _each(values: Sequence[str] | None) -> Sequence[str]:
    return values or ()


def _refuse_options(options: Values) -> None:
    """Raise `Broken` for options that pip overlooks beside a requirement, and uv refuses."""
    alone = ("index_url", "extra_index_url", "no_index", "find_links", "requirement", "constraint")
    for name in alone:
        if getattr(options, name):
            raise Broken(f"--{name.replace('_', '-')} needs a line of its own.")


def _take_options(reading: _Reading, options: Values) -> None:
    if options.index_url:
        reading.index_url = options.index_url
        reading.no_index = False
    if options.no_index:
        reading.index_url, reading.extra, reading.no_index = None, [], True
    reading.extra += _each(options.extra_index_url)
    reading.extra += filter(_WEB.match, _each(options.find_links))


def _entry(text: str, options: Values, line: _Line, path: str) -> LockedPackage | None:
    """Return the package that a line requires; nothing for options and the lock's own project."""
    for editable in _each(options.editable):
        if text or len(options.editable) > 1:
            raise Broken("it has more than one requirement.")
        return _direct(editable, line, path)
    if not text:
        return None
    bare = text.partition(";")[0].strip()
    if _ARCHIVE.fullmatch(bare):  # "foo-1.0.zip" would be the name of a project, too
        return _direct(bare, line, path)
    if len(text) > LONGEST:
        raise Broken(f"its requirement has more than {LONGEST:,} characters.")
    try:
        requirement = Requirement(text)
    except (InvalidRequirement, RecursionError) as error:
        if _ADDRESS.match(bare) or "/" in bare or "\\" in bare:
            return _direct(bare, line, path)
        if is_own(bare):
            return None
        raise Broken(f"{shown(text, 100)} is not a requirement.") from error
    if requirement.url:
        return _direct(requirement.url, line, path, name=requirement.name)
    return _from_index(requirement, options, line, path)


def _from_index(requirement: Requirement, options: Values, line: _Line, path: str) -> LockedPackage:
    hashes = Hashes(line.number, lambda digest: line.digests.get(digest, line.number))
    for each in _each(options.hash):
        hashes.add(each)
    files, remarks = hashes.finish()
    version = _pinned(requirement)
    if version is None:
        remarks = (*remarks, Remark("It is not pinned to one version.", line.number, Gap.UNPINNED))
    return LockedPackage(
        name=normalized(requirement.name),
        version=version,
        files=files,
        source=Source.INDEX,
        line=line.number,
        path=path,
        remarks=remarks,
    )


def _pinned(requirement: Requirement) -> str | None:
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1:
        return None
    (only,) = specifiers
    is_one = only.operator == "===" or (only.operator == "==" and not only.version.endswith(".*"))
    return only.version if is_one else None


def _direct(address: str, line: _Line, path: str, name: str = "") -> LockedPackage | None:
    if is_own(address):
        return None
    egg = _EGG.search(address)
    segment = last_segment(address) or address
    found = name or (egg[1] if egg else "") or _project_in(segment) or segment.partition("[")[0]
    return LockedPackage(
        name=canonicalize_name(shown(found, 100)),
        version=None,
        files=(),
        source=source_of(address),
        line=line.number,
        path=path,
        origin=plain(address),
    )


def _project_in(filename: str) -> str:
    """Return the project of a distribution's filename, or nothing."""
    return release_of(filename)[0] or ""
