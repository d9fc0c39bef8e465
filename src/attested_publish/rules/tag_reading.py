"""What a Git tag may say: the versions and the projects that can be read out of its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    from packaging.version import Version

TAG_LIMIT = 300
"""Characters of a tag that are read; nobody writes a version beyond."""

_WORDS = frozenset(
    [
        *("v", "ver", "version", "versions", "r", "rel", "release", "releases", "released"),
        *("tag", "tags", "stable", "prod", "production", "publish", "pypi", "python", "py"),
        *("package", "packages", "pkg", "pkgs", "project", "projects", "lib", "libs"),
    ]
)
"""What a tag may have before its version, or before a project's name, without naming anything."""

_LANGUAGES = frozenset(["python", "py"])
_WITHOUT_SEPARATOR = frozenset(["v", "ver", "version", "r", "rel", "release"])
_TOKEN = re.compile(r"[A-Za-z0-9]+")
_NUMERIC_TOKEN = re.compile(r"[vV]?\d+|\d.*")
_WITHOUT_DOTS = re.compile(r"\d+([-_])\d+(?:\1\d+)*(?![0-9.])")


@dataclass(frozen=True)
class Reading:
    """One way to read a tag: everything from some digit on is a version, what is before a prefix.

    `text` is the version as it is written, `names` are the normalized names that the prefix may
    mean, the most exact one first, none for a usual prefix such as `v` or `release/`.
    """

    version: Version
    text: str
    prefix: str
    names: tuple[str, ...]

    @property
    def is_usual(self) -> bool:
        """Whether the prefix only says that a version follows."""
        return not _without_words(_tokens(self.prefix))

    @property
    def is_of_language(self) -> bool:
        """Whether the prefix may mean the version of Python itself."""
        return not _LANGUAGES.isdisjoint(_tokens(self.prefix))

    @property
    def is_attached(self) -> bool:
        """Whether a letter stands right before the version that is no sign for one."""
        tokens = _tokens(self.prefix)
        return self.prefix[-1:].isalpha() and tokens[-1] not in _WITHOUT_SEPARATOR

    @property
    def has_v(self) -> bool:
        """Whether a single number after it is a version, too."""
        return self.prefix[-1:] in {"v", "V"}

    def projects(self, among: Collection[str]) -> list[str]:
        """Return which of these normalized project names the prefix means.

        Where no name is exactly the same, the end of one will do: `core` for `acme-core`.
        """
        exact = next((name for name in self.names if name in among), None)
        if exact is not None:
            return [exact]
        return [project for project in among if not _ends_of(project).isdisjoint(self.names)]


def readings(tag: str, projects: Collection[str]) -> list[Reading]:
    """Return how `tag` (without `refs/tags/`) can be read, the longest version first.

    `projects` are normalized: the name of one may end in a number, which is no version then.
    """
    tag = tag[:TAG_LIMIT]
    found = []
    for place, char in enumerate(tag):
        before = tag[:place]
        if not (char.isascii() and char.isdecimal()) or before[-1:].isdecimal():
            continue
        names = tuple(_names(before))
        # A number before makes it likely that the version has begun there.
        if _has_number(before) and set(names).isdisjoint(projects):
            continue
        found += [
            Reading(version, tag[place:], before, names) for version in _versions(tag[place:])
        ]
    return found


def _versions(text: str) -> Iterator[Version]:
    """Yield the versions that a text may mean: `2_0_1` and `2024-01-15` have no dots."""
    version = parsed_version(text)
    if version is not None:
        yield version
    numbers = _WITHOUT_DOTS.match(text)
    if numbers:
        dotted = parsed_version(numbers[0].replace(numbers[1], ".") + text[numbers.end() :])
        if dotted is not None:
            yield dotted


def _names(prefix: str) -> Iterator[str]:
    """Yield the names that a prefix may mean: with its folders or scope, and without."""
    folders = [_tokens(part) for part in prefix.split("/")]
    named = [tokens for tokens in folders if _without_words(tokens)]
    for tokens in (_tokens(prefix), named[-1] if named else []):
        for kept in (tokens, _without_words(tokens)):
            if kept:
                yield canonicalize_name("-".join(kept))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _without_words(tokens: Sequence[str]) -> Sequence[str]:
    """Drop the usual words from both ends."""
    first, last = 0, len(tokens)
    while first < last and tokens[first] in _WORDS:
        first += 1
    while last > first and tokens[last - 1] in _WORDS:
        last -= 1
    return tokens[first:last]


def _has_number(prefix: str) -> bool:
    return any(_NUMERIC_TOKEN.fullmatch(token) for token in _tokens(prefix))


def _ends_of(project: str) -> set[str]:
    """Return the ends of a project's name, as `core` of `acme-core`, and `foo` of `foo-python`."""
    parts = project.split("-")
    whole = parts[:-1] if parts[-1] in _LANGUAGES else parts
    return {"-".join(whole[start:]) for start in range(len(whole))}
