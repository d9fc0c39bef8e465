"""The table of settings, used for the action, the command and the README."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from string import Formatter

from attested_publish.net.addresses import PYPI_UPLOAD_URL, BadAddress
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.untrusted import shown
from attested_publish.net.upload_addresses import for_upload, well_known
from attested_publish.net.upload_credentials import faults_of
from attested_publish.problems import alternatives


class WrongUsage(Exception):
    """Settings have invalid values; there is one sentence for each of them."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
        self.sentences = sentences

    def __str__(self) -> str:
        return "\n".join(self.sentences)


@contextlib.contextmanager
def gathering(faults: list[str]) -> Iterator[None]:
    """Add to `faults` what makes this block end with `WrongUsage`, and go on after it."""
    try:
        yield
    except WrongUsage as error:
        faults += error.sentences


class Attestations(StrEnum):
    """When to attest: if the index accepts attestations, always, or never."""

    AUTO = "auto"
    REQUIRED = "true"
    NEVER = "false"


class VerifyMetadata(StrEnum):
    """Which findings about the files stop a release: errors, also warnings, or none."""

    ERRORS = "true"
    STRICT = "strict"
    NOTHING = "false"


class VersionTag(StrEnum):
    """What the tag of a release must name: no other version, its version, or anything."""

    AUTO = "auto"
    REQUIRED = "true"
    NEVER = "false"


@dataclass(frozen=True)
class TagPattern:
    """How tags are named: literal texts around `{version}`, and `{project}` if they have it.

    `literals` has one more than `fields`; `tag_pattern` makes them.
    """

    text: str
    literals: tuple[str, ...]
    fields: tuple[str, ...]

    def matches(self, tag: str) -> Iterator[tuple[str, str | None]]:
        """Yield the version and the project, if there is one, for each way a tag may be split."""
        before, *between, after = self.literals
        end = len(tag) - len(after)
        if len(before) > end or not (tag.startswith(before) and tag.endswith(after)):
            return
        middle = tag[len(before) : end]
        if not between:
            yield middle, None
            return
        place = middle.find(between[0])
        while 0 <= place < len(middle):
            parts = (middle[:place], middle[place + len(between[0]) :])
            found = dict(zip(self.fields, parts, strict=True))
            yield found["version"], found["project"]
            place = middle.find(between[0], place + 1)

    def filled(self, project: str, version: str) -> str:
        """Return the tag for a release."""
        return self.text.format(project=project, version=version)


def tag_pattern(text: str) -> TagPattern:
    """Read a pattern with `{version}` and perhaps `{project}`.

    Raises `WrongUsage` for anything else, in one sentence.
    """
    try:
        pieces = list(Formatter().parse(text))
    except ValueError:
        pieces = []
    fields = tuple(name for _, name, _, _ in pieces if name is not None)
    is_plain = not any(form or conversion for _, _, form, conversion in pieces)
    if not is_plain or sorted(fields) not in (["version"], ["project", "version"]):
        raise WrongUsage(
            f"version-tag is {shown(text, 80)!r}; it must be {', '.join(VersionTag)}, or a pattern "
            "with {version} once, {project} at most once, and no other braces."
        )
    literals = [""]
    for literal, name, _, _ in pieces:
        literals[-1] += literal
        if name is not None:
            literals.append("")
    return TagPattern(text, tuple(literals), fields)


class Mode(StrEnum):
    """What to do."""

    PUBLISH = "publish"
    CHECK = "check"
    ATTEST = "attest"
    REHEARSE = "rehearse"
    VERIFY = "verify"


class Runtime(StrEnum):
    """Where the action runs the program; only launch.sh reads it."""

    AUTO = "auto"
    DOCKER = "docker"
    PYTHON = "python"


@dataclass(frozen=True)
class Setting:
    """One row of the table: the name (of the input and the option), default, meaning, choices."""

    name: str
    default: str
    help: str
    choices: tuple[str, ...] = ()
    metavar: str = ""
    """What stands for its value in the command's help, where it has no `choices`."""

    is_secret: bool = False
    is_for_action_only: bool = False
    is_for_locks: bool = False
    """It is for mode `verify`: the command of that name has options of its own."""


_SWITCH = ("true", "false")
_DIGITS = 20

SETTINGS = (
    Setting(
        "packages-dir",
        "dist",
        "Folders, searched one folder deep, files, or patterns like dist/*.whl; one on each line.",
        metavar="PATHS",
    ),
    Setting(
        "repository-url",
        PYPI_UPLOAD_URL,
        "Upload address of one or several indexes, one on each line; plain http only on loopback.",
        metavar="URLS",
    ),
    Setting("user", "__token__", "User name for the password.", metavar="NAME"),
    Setting(
        "password",
        "",
        "An API token or another password; empty means trusted publishing.",
        is_secret=True,
        metavar="PASSWORD",
    ),
    Setting(
        "attestations",
        Attestations.AUTO,
        "auto: if the index accepts them, else a notice says why not; true: required, or stop "
        "before anything is public; false: none.",
        tuple(Attestations),
    ),
    Setting(
        "verify-metadata",
        VerifyMetadata.ERRORS,
        "Check the files first: true, strict (warnings stop the release, too), or false.",
        tuple(VerifyMetadata),
    ),
    Setting(
        "version-tag",
        VersionTag.AUTO,
        "On a tag: auto warns if it names another version; true: it must name the version; false: "
        "any tag; or a pattern it must follow, such as v{version} or {project}-{version}.",
        metavar="{auto,true,false,PATTERN}",
    ),
    Setting(
        "skip-existing",
        "false",
        "The same bytes are always skipped; true also skips files whose names are taken.",
        _SWITCH,
    ),
    Setting(
        "mode",
        Mode.PUBLISH,
        "What to do: publish, check only, attest only, rehearse a release offline, or verify "
        "locks.",
        tuple(Mode),
    ),
    Setting(
        "confirm",
        "true",
        "After uploading, wait until the index serves each file with its digest and provenance.",
        _SWITCH,
    ),
    Setting(
        "parallel-uploads",
        "auto",
        "How many files are uploaded at a time: auto, or 1 to 16; on PyPI never more than two of "
        "one release.",
        metavar="{auto,N}",
    ),
    Setting(
        "provenance",
        "false",
        "Also attest SLSA provenance for each file: that this very run built it.",
        _SWITCH,
    ),
    Setting(
        "attestations-dir", "", "Write the attestation files to this folder, too.", metavar="DIR"
    ),
    Setting("print-hash", "true", "Print the digests of each file.", _SWITCH),
    Setting("verbose", "false", "Print more details, including tracebacks.", _SWITCH),
    Setting(
        "sigstore-trust-config",
        "",
        "ClientTrustConfig JSON file of a private Sigstore.",
        metavar="FILE",
    ),
    Setting(
        "lock",
        "",
        "For mode verify: the locks whose packages are verified, one on each line.",
        is_for_locks=True,
    ),
    Setting(
        "against",
        "",
        "For mode verify: the lock to compare with; on a pull request, that of the base branch.",
        is_for_locks=True,
    ),
    Setting(
        "policy",
        "",
        "For mode verify: TOML file that says who should publish which project.",
        is_for_locks=True,
    ),
    Setting(
        "runtime",
        Runtime.AUTO,
        "Where the action runs: in the pinned image (docker), in plain Python (python), or in what "
        "the runner has (auto).",
        tuple(Runtime),
        is_for_action_only=True,
    ),
)


@dataclass(frozen=True)
class Settings:
    """The parsed values of one run."""

    packages_dir: tuple[str, ...] = ("dist",)
    repository_urls: tuple[str, ...] = (PYPI_UPLOAD_URL,)
    user: str = "__token__"
    password: str = field(default="", repr=False)
    attestations: Attestations = Attestations.AUTO
    verify_metadata: VerifyMetadata = VerifyMetadata.ERRORS
    version_tag: VersionTag | TagPattern = VersionTag.AUTO
    skip_existing: bool = False
    mode: Mode = Mode.PUBLISH
    confirm: bool = True
    parallel_uploads: int | None = None
    """`None`: auto."""

    provenance: bool = False
    attestations_dir: Path | None = None
    print_hash: bool = True
    verbose: bool = False
    sigstore_trust_config: Path | None = None
    locks: tuple[Path, ...] = ()
    against: Path | None = None
    policy: Path | None = None

    @property
    def repository_url(self) -> str:
        """The first index."""
        return self.repository_urls[0]


def understand(values: Mapping[str, str]) -> Settings:
    """Parse texts by setting name into `Settings`; missing and blank ones get their defaults.

    Raises one `WrongUsage` for all invalid values.
    """
    faults: list[str] = []
    texts = {
        setting.name: _text_of(setting, values, faults)
        for setting in SETTINGS
        if not setting.is_for_action_only
    }
    repository_urls = tuple(dict.fromkeys(_lines(texts["repository-url"])))
    faults += _faults_of_addresses(repository_urls)
    faults += _faults_of_credentials(texts, values, repository_urls)
    faults += _faults_of_provenance(texts)
    version_tag: VersionTag | TagPattern = VersionTag.AUTO
    with gathering(faults):
        version_tag = _version_tag(texts["version-tag"])
    parallel_uploads = _number("parallel-uploads", texts["parallel-uploads"], 16, faults)
    faults += _faults_of_locks(texts, repository_urls)
    if faults:
        # Alone it is a problem of its own; here, nobody should have to run again to see it.
        faults += _fault_of_file("sigstore-trust-config", texts["sigstore-trust-config"])
        raise WrongUsage(*faults)
    return Settings(
        packages_dir=tuple(dict.fromkeys(_lines(texts["packages-dir"]))),
        repository_urls=repository_urls,
        user=texts["user"],
        password=texts["password"],
        attestations=Attestations(texts["attestations"]),
        verify_metadata=VerifyMetadata(texts["verify-metadata"]),
        version_tag=version_tag,
        skip_existing=texts["skip-existing"] == "true",
        mode=Mode(texts["mode"]),
        confirm=texts["confirm"] == "true",
        parallel_uploads=parallel_uploads,
        provenance=texts["provenance"] == "true",
        attestations_dir=_path(texts["attestations-dir"]),
        print_hash=texts["print-hash"] == "true",
        verbose=texts["verbose"] == "true",
        sigstore_trust_config=_path(texts["sigstore-trust-config"]),
        locks=tuple(dict.fromkeys(map(Path, _lines(texts["lock"])))),
        against=_path(texts["against"]),
        policy=_path(texts["policy"]),
    )


def _text_of(setting: Setting, values: Mapping[str, str], faults: list[str]) -> str:
    """Return the value of a setting, or its default; append what is wrong with it to `faults`."""
    text = values.get(setting.name, "").strip() or setting.default
    if not setting.choices:
        return text
    if text.lower() not in setting.choices:
        allowed = alternatives(setting.choices)
        faults.append(f"{setting.name} is {shown(text.lower(), 80)!r}; it must be {allowed}.")
    return text.lower()


def _faults_of_addresses(repository_urls: Sequence[str]) -> Iterator[str]:
    for url in repository_urls:
        try:
            for_upload(url)
        except BadAddress as why:
            yield f"repository-url is {shown(without_credentials(url), 200)!r}, but {why}."


def _faults_of_credentials(
    texts: Mapping[str, str], values: Mapping[str, str], repository_urls: Sequence[str]
) -> Iterator[str]:
    if texts["password"] and len(repository_urls) > 1:
        # It would be sent to indexes that it is not meant for.
        yield "password can be used with one index only, but repository-url lists several."
        return
    if not texts["password"] and values.get("password") and texts["mode"] == Mode.PUBLISH:
        # In other modes nothing is uploaded, and a pull request from a fork has no secrets.
        yield (
            "password consists of blanks: a secret that does not exist, or that this event may not "
            "read, is empty. Check its name and the job's environment, or leave password out."
        )
    # A rehearsal sends no password, so what a real release's looks like does not matter.
    index = None if texts["mode"] == Mode.REHEARSE else well_known(repository_urls[0])
    name = None if index is None else index.name
    yield from faults_of(texts["user"], texts["password"], name)


def _faults_of_provenance(texts: Mapping[str, str]) -> Iterator[str]:
    if texts["provenance"] == "true" and texts["attestations"] == Attestations.NEVER:
        yield "provenance is true, but attestations is false: drop one of them."


def _faults_of_locks(texts: Mapping[str, str], repository_urls: Sequence[str]) -> Iterator[str]:
    if texts["mode"] != Mode.VERIFY:
        for name in ("lock", "against", "policy"):
            if texts[name]:
                yield f"{name} is for mode verify only."
        return
    if not texts["lock"]:
        yield "lock is empty: name the locks that mode verify is to verify."
    if len(repository_urls) > 1:
        yield "mode verify uses one index, but repository-url lists several."


def _fault_of_file(name: str, text: str) -> Iterator[str]:
    if not text:
        return
    try:
        Path(text).stat()
    except OSError as error:
        yield f"{name} is {shown(text, 200)!r}: {error.strerror}."


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _number(name: str, text: str, most: int, faults: list[str]) -> int | None:
    """Return a number from 1 to `most`, `None` for auto; append what is wrong to `faults`."""
    if text.lower() == "auto":
        return None
    # Python refuses to parse numbers of thousands of digits; they are out of range anyway.
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    if is_number and 1 <= int(text) <= most:
        return int(text)
    faults.append(f"{name} is {shown(text, 80)!r}; it must be auto, or 1 to {most}.")
    return None


def _version_tag(text: str) -> VersionTag | TagPattern:
    if text.lower() in tuple(VersionTag):
        return VersionTag(text.lower())
    return tag_pattern(text)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
