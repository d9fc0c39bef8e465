"""What PyPI refuses in the metadata of an upload.

Two checks in this order, as on the server: `packaging.metadata`, which knows the core metadata
specification, and PyPI's own additions (`warehouse/forklift/metadata.py`). A check's refusals
each are ordered by field: metadata version, name, version, then alphabetically.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from email.utils import getaddresses
from typing import TYPE_CHECKING

import trove_classifiers as trove
from packaging.errors import ExceptionGroup as PackagingErrors
from packaging.metadata import InvalidMetadata, Metadata
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from attested_publish.rules.bounds import METADATA_VERSIONS, NESTED
from attested_publish.rules.description import unknown_variant
from attested_publish.rules.versions import parsed_version
from attested_publish.rules.wording import doubtful, refused, sentence, shown

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from attested_publish.findings import Finding

_SUGGESTIONS = 5
"""How many unknown classifiers are compared with all known ones, which is slow."""

_PLAIN_ADDRESS = re.compile(r"https?://[A-Za-z][A-Za-z0-9.-]*(?:/[A-Za-z0-9._~/-]*)?")
"""Most addresses; rfc3986 finds them valid, too."""

_ESCAPED = re.compile(r"\\.", re.DOTALL)
_QUOTED = re.compile(r'"[^"]*"')
_BRACKET = re.compile("[()]")

SUMMARY_LIMIT = 512
LABEL_LIMIT = 32

# The rule for each refusal of packaging, and what to change.
_PACKAGING_RULES = {
    "description-content-type": (
        "content-type-invalid",
        "Use text/markdown, text/x-rst or text/plain, as for a `readme` with a known extension.",
    ),
    "dynamic": ("dynamic-invalid", "List only core metadata fields under Dynamic."),
    "import-name": ("import-name-invalid", "Correct `import-names` in pyproject.toml."),
    "import-namespace": ("import-name-invalid", "Correct `import-namespaces` in pyproject.toml."),
    "license-expression": (
        "license-expression-invalid",
        'Use an SPDX expression: license = "MIT" or "Apache-2.0 OR MIT" in pyproject.toml.',
    ),
    "license-file": (
        "license-file-path",
        "Name licence files by their path inside the project, with '/' and without '..'.",
    ),
    "name": (
        "name-invalid",
        "Use ASCII letters, digits, '.', '_' and '-', with a letter or digit at both ends.",
    ),
    "provides-extra": ("extra-invalid", "Rename the extra: letters, digits, '.', '_' and '-'."),
    "requires-dist": ("requirement-invalid", "Correct `dependencies` (PEP 508)."),
    "requires-python": (
        "requires-python-invalid",
        'Write requires-python as version specifiers, such as ">=3.9".',
    ),
    "summary": ("summary-lines", "Keep `description` in pyproject.toml on one line."),
    "version": ("version-invalid", "Use a PEP 440 version, such as 1.2.3 or 1.2.3rc1."),
}


def in_server_order(findings: Sequence[tuple[str, Finding]]) -> list[Finding]:
    """Sort `findings`, each with the core metadata field it is about, as PyPI reports them."""
    first = ("metadata-version", "name", "version")

    def rank(item: tuple[str, Finding]) -> tuple[int, str]:
        field = item[0]
        return (first.index(field), "") if field in first else (len(first), field)

    return [finding for _, finding in sorted(findings, key=rank)]


def specification_findings(raw: RawMetadata) -> list[Finding]:
    """Yield what `packaging.metadata` refuses in `raw`, in the server's order."""
    if (depth := _depth(raw.get("license_expression", ""))) > NESTED:
        return [
            refused(
                "license-expression-invalid",
                f"License-Expression is not valid: its brackets are nested {depth:,} deep.",
                _PACKAGING_RULES["license-expression"][1],
            )
        ]
    try:
        Metadata.from_raw(raw)
    except PackagingErrors as group:
        errors = [one for one in group.exceptions if isinstance(one, InvalidMetadata)]
        return in_server_order([(error.field, _explained(raw, error)) for error in errors])
    except MemoryError:
        raise
    except Exception as broken:  # noqa: BLE001 - twine makes the same call and fails in the same way
        return [
            refused(
                "metadata-unreadable",
                f"Checking the metadata fails, so twine cannot send it: {sentence(broken)}.",
                "Rebuild with a current build backend.",
            )
        ]
    return []


def _depth(expression: str) -> int:
    """Return the maximum nesting depth of brackets."""
    steps = ({"(": 1, ")": -1}.get(char, 0) for char in expression)
    return max(itertools.accumulate(steps), default=0)


def _explained(raw: RawMetadata, error: InvalidMetadata) -> Finding:
    if error.field == "metadata-version":
        return _metadata_version(raw.get("metadata_version"))
    if error.field in {"name", "version"} and not raw.get(error.field):
        return refused(
            "metadata-field-missing",
            f"The metadata has no {error.field.title()}.",
            "Rebuild with a current build backend.",
        )
    if "introduced in metadata version" in str(error):
        return refused(
            "metadata-field-too-new",
            f"{error.field.title()} is not allowed in metadata version "
            f"{shown(raw.get('metadata_version', ''))}: {sentence(error)}.",
            "Rebuild with a build backend that states the metadata version it writes.",
        )
    if error.field == "license-expression" and "unknown" in str(error.__cause__).lower():
        return doubtful(
            "license-expression-newer",
            f"License-Expression has an identifier that is not in this version's SPDX list: "
            f"{sentence(error.__cause__)}.",
            "Correct it, or let the index decide: it may know a newer list.",
        )
    if error.field == "description-content-type" and (unknown := unknown_variant(raw)):
        return refused(
            "content-type-invalid",
            f"Description-Content-Type has the Markdown variant {shown(unknown)}; there are only "
            f"GFM and CommonMark, spelled like this.",
            "Leave the variant out, which means GFM, or write text/markdown; variant=CommonMark.",
        )
    rule, remedy = _PACKAGING_RULES.get(
        error.field, ("metadata-unreadable", "Rebuild with a current build backend.")
    )
    # The cause, if there is one, says more than that the value is invalid.
    reason = sentence(error)
    if error.__cause__ is not None and (cause := sentence(error.__cause__)) not in reason:
        reason = f"{reason} ({cause})"
    return refused(rule, f"{error.field.title()} is not valid: {reason}.", remedy)


def _metadata_version(version: str | None) -> Finding:
    if version is None:
        return refused(
            "metadata-field-missing",
            "The metadata has no Metadata-Version.",
            "Rebuild with a current build backend.",
        )
    known = f"{METADATA_VERSIONS[0]} to {METADATA_VERSIONS[-1]}, without 2.0"
    stated = parsed_version(version)
    if stated is not None and stated > Version(METADATA_VERSIONS[-1]):
        return doubtful(
            "metadata-version-newer",
            f"Metadata version {shown(version)} is newer than what PyPI is known to accept "
            f"({known}).",
            "Let the index decide, or build with a backend that writes an older version.",
        )
    return refused(
        "metadata-version-invalid",
        f"Metadata version {shown(version)} is not one that PyPI accepts ({known}).",
        "Rebuild with a current build backend.",
    )


def index_findings(raw: RawMetadata) -> list[Finding]:
    """Yield what PyPI refuses in `raw` beyond the specification, in the server's order.

    Values that are invalid by the specification are ignored here.
    """
    return in_server_order(
        [(field, finding) for field, rule in _INDEX_RULES for finding in rule(raw)]
    )


def _version_unsupported(raw: RawMetadata) -> Iterator[Finding]:
    version = raw.get("metadata_version")
    if version is not None and version not in METADATA_VERSIONS:
        yield _metadata_version(version)


def _version_local(raw: RawMetadata) -> Iterator[Finding]:
    version = parsed_version(raw.get("version", ""))
    if version is not None and version.local:
        yield refused(
            "version-local",
            f"Version {shown(version)} has the local part {shown(f'+{version.local}')}, which "
            f"PyPI does not accept.",
            "Build from a clean, tagged commit; with setuptools-scm or hatch-vcs set "
            'local_scheme = "no-local-version".',
        )


def _summary_length(raw: RawMetadata) -> Iterator[Finding]:
    summary = raw.get("summary", "")
    if len(summary) > SUMMARY_LIMIT:
        yield refused(
            "summary-length",
            f"The summary has {len(summary)} characters, the limit is {SUMMARY_LIMIT}: "
            f"{shown(summary)}.",
            "Shorten `description` in pyproject.toml; the long text belongs in the readme.",
        )


def _email(field: str, value: str | None) -> Iterator[Finding]:
    """Check an email field: PyPI checks a single address, and ignores several or none."""
    if not value or not _is_one_at_most(value):
        return
    try:
        addresses = getaddresses([value])
    except RecursionError:
        yield doubtful(
            "email-invalid",
            f"{field} has brackets or colons that are nested too deeply to be parsed: "
            f"{shown(value)}.",
            "Correct or leave out the address under `authors` or `maintainers`.",
        )
        return
    # A newer Python, as PyPI has, does not accept a domain in brackets either.
    if len(addresses) != 1 or not addresses[0][1] or "[" in addresses[0][1]:
        return
    # It imports a DNS library, which takes a while, and few files come here.
    from email_validator import EmailNotValidError, validate_email

    address = addresses[0][1]
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError as invalid:
        yield refused(
            "email-invalid",
            f"{field} has {shown(address)}, which is not a valid email address: "
            f"{sentence(invalid)}.",
            "Correct or leave out the address under `authors` or `maintainers`.",
        )


def _is_one_at_most(value: str) -> bool:
    """Return whether a newer Python, as PyPI has, would read one address there, or none.

    It ignores a field with a bracket that is not closed, and expects an address on each side of a
    comma. Older ones, such as 3.11.7, find an address in both.
    """
    unquoted = _QUOTED.sub("", _ESCAPED.sub("", value))
    depth = 0
    for bracket in _BRACKET.findall(unquoted):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            return False
    return depth == 0 and "," not in unquoted


def _classifiers_unknown(raw: RawMetadata) -> Iterator[Finding]:
    unknown = set(raw.get("classifiers", [])) - set(trove.all_classifiers)
    # The list includes deprecated classifiers, which have their own rule.
    unknown -= set(trove.deprecated_classifiers)
    for number, classifier in enumerate(sorted(unknown)):
        yield _unknown_classifier(
            classifier, trove.sorted_classifiers, suggests=number < _SUGGESTIONS
        )


def _unknown_classifier(classifier: str, known: Sequence[str], *, suggests: bool) -> Finding:
    if _plain(classifier).startswith("license ::"):
        return refused(
            "classifier-unknown",
            f"The classifier {shown(classifier)} is not one of PyPI's, and no more licence "
            f"classifiers are added (PEP 639).",
            'Remove it, and state the licence as an SPDX expression: license = "…" in '
            "pyproject.toml.",
        )
    if classifier.strip().lower().startswith("private ::"):
        return refused(
            "classifier-private",
            f"The classifier {shown(classifier)} exists to make PyPI refuse the file.",
            "Remove it if the project is meant to be public.",
        )

    meant = _by_plain_spelling(tuple(known)).get(_plain(classifier))
    if meant is not None:
        return refused(
            "classifier-misspelled",
            f"The classifier {shown(classifier)} is not spelled as on PyPI.",
            f"Write exactly {shown(meant)}.",
        )
    # A licence is a decision; never suggest one because its spelling is similar.
    others = [one for one in known if not one.startswith("License ::")]
    near = difflib.get_close_matches(classifier[:200], others, n=1) if suggests else []
    hint = f" to {shown(near[0])}" if near else ""
    return doubtful(
        "classifier-unknown",
        f"The classifier {shown(classifier)} is not in this version's list of trove classifiers.",
        f"Correct it{hint}, or remove it; PyPI refuses it unless it is newer than this list.",
    )


def _plain(classifier: str) -> str:
    parts = classifier.split("::")
    return " :: ".join(" ".join(part.split()) for part in parts).casefold()


@functools.cache
def _by_plain_spelling(known: tuple[str, ...]) -> dict[str, str]:
    return {_plain(one): one for one in known}


def _classifiers_deprecated(raw: RawMetadata) -> Iterator[Finding]:
    for classifier in sorted(set(raw.get("classifiers", [])) & set(trove.deprecated_classifiers)):
        instead = trove.deprecated_classifiers[classifier]
        yield refused(
            "classifier-deprecated",
            f"The classifier {shown(classifier)} is deprecated, and PyPI refuses it.",
            f"Use {' or '.join(map(shown, instead))} instead." if instead else "Remove it.",
        )


def _is_web_address(url: str) -> bool:
    """Check as PyPI does: a scheme, http or https, and valid parts; a host is not required."""
    if _PLAIN_ADDRESS.fullmatch(url):
        return True
    # Its patterns take a while to compile, and few files come here.
    from rfc3986 import exceptions, uri_reference, validators  # type: ignore[import-untyped]

    validator = validators.Validator().allow_schemes("http", "https").require_presence_of("scheme")
    validator.check_validity_of("scheme", "host", "port", "path", "query")
    try:
        validator.validate(uri_reference(url).normalize())
    except (exceptions.RFC3986Exception, ValueError):
        return False
    return True


def _url(field: str, url: str | None) -> Iterator[Finding]:
    if url is not None and not _is_web_address(url):
        yield refused(
            "url-invalid",
            f"{field} has {shown(url)}, which is not an http or https address.",
            "Write the complete address, including https://; mailto: and ftp: are refused.",
        )


def _project_urls(raw: RawMetadata) -> Iterator[Finding]:
    for label, url in raw.get("project_urls", {}).items():
        if not label or not url:
            yield refused(
                "project-url-incomplete",
                f"A project URL lacks its {'label' if not label else 'address'}: "
                f"{shown(f'{label}, {url}')}.",
                'Write each entry of [project.urls] as Label = "https://…".',
            )
        elif len(label) > LABEL_LIMIT:
            yield refused(
                "project-url-label",
                f"The project URL label {shown(label)} has {len(label)} characters, "
                f"the limit is {LABEL_LIMIT}.",
                "Shorten the label in [project.urls].",
            )
        else:
            yield from _url(f"Project-URL {shown(label)}", url)


def _direct(field: str, requirement: str) -> Finding:
    return refused(
        "direct-dependency",
        f"{field} has {shown(requirement)}, which names an address; PyPI accepts only "
        f"dependencies from an index.",
        "Depend on a released version; use addresses only for development, for instance under "
        "[dependency-groups].",
    )


def _requires_dist(raw: RawMetadata) -> Iterator[Finding]:
    for text in raw.get("requires_dist", []):
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError):
            continue
        if requirement.url is not None:
            yield _direct("Requires-Dist", text)


def _legacy_dist(field: str, values: Sequence[str]) -> Iterator[Finding]:
    """Check the two fields that `packaging.metadata` does not check, but PyPI does."""
    for text in values:
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError) as invalid:
            yield refused(
                "requirement-invalid",
                f"{field} has {shown(text)}, which is not a requirement: {sentence(invalid)}.",
                f"Correct or remove {field}.",
            )
        else:
            if requirement.url is not None:
                yield _direct(field, text)


def _license_twice(raw: RawMetadata) -> Iterator[Finding]:
    if raw.get("license") and raw.get("license_expression"):
        yield refused(
            "license-twice",
            f"The metadata has both License and License-Expression "
            f"({shown(raw['license_expression'])}); PyPI accepts only the latter.",
            'State the licence once: license = "<SPDX expression>" in pyproject.toml.',
        )


def _charset_spelling(raw: RawMetadata) -> Iterator[Finding]:
    """Check the charset: the server's packaging 26.2 accepts only `UTF-8`, 26.3 any case."""
    header = EmailMessage()
    try:
        header["content-type"] = raw.get("description_content_type", "")
        charset = header["content-type"].params.get("charset", "UTF-8")
    except (ValueError, IndexError, RecursionError):
        return
    if charset != "UTF-8" and charset.upper() == "UTF-8":
        yield doubtful(
            "content-type-spelling",
            f"Description-Content-Type has the charset {shown(charset)}; PyPI may accept only "
            f"'UTF-8'.",
            "Leave the charset out, or write charset=UTF-8.",
        )


# Each with the field under which PyPI reports it.
_INDEX_RULES: tuple[tuple[str, Callable[[RawMetadata], Iterator[Finding]]], ...] = (
    ("metadata-version", _version_unsupported),
    ("version", _version_local),
    ("summary", _summary_length),
    ("author-email", lambda raw: _email("Author-Email", raw.get("author_email"))),
    ("maintainer-email", lambda raw: _email("Maintainer-Email", raw.get("maintainer_email"))),
    ("classifier", _classifiers_unknown),
    ("classifier", _classifiers_deprecated),
    ("home-page", lambda raw: _url("Home-Page", raw.get("home_page"))),
    ("download-url", lambda raw: _url("Download-URL", raw.get("download_url"))),
    ("project-url", _project_urls),
    ("provides-dist", lambda raw: _legacy_dist("Provides-Dist", raw.get("provides_dist", []))),
    ("obsoletes-dist", lambda raw: _legacy_dist("Obsoletes-Dist", raw.get("obsoletes_dist", []))),
    ("requires-dist", _requires_dist),
    ("license", _license_twice),
    ("description-content-type", _charset_spelling),
)
