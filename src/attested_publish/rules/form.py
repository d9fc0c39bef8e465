"""The form of an upload: what twine sends for a file, and what the index reads from it.

An index checks the fields of the form, not the metadata in the file; twine makes the form from
that metadata. Based on twine 7.0.0, `twine/package.py` and `twine/repository.py`.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from packaging.metadata import RawMetadata, parse_email
from packaging.version import Version

from attested_publish.rules.bounds import (
    CONTENT_TYPE,
    FIELDS,
    METADATA_VERSIONS,
    VALUE,
    VALUES,
    too_much,
)
from attested_publish.rules.encoding import (
    byte_order_mark,
    headers_cut_short,
    not_utf8,
    nul_characters,
)
from attested_publish.rules.versions import parsed_version
from attested_publish.rules.wording import doubtful, first, refused, sentence, shown

if TYPE_CHECKING:
    from attested_publish.findings import Finding

Form = Mapping[str, Sequence[str]]
"""The form of an upload: the values of each field, in order."""

SINGLE_FIELDS = frozenset(
    {
        "author",
        "author_email",
        "description",
        "description_content_type",
        "download_url",
        "home_page",
        "keywords",
        "license",
        "license_expression",
        "maintainer",
        "maintainer_email",
        "metadata_version",
        "name",
        "requires_python",
        "summary",
        "version",
    }
)
LIST_FIELDS = frozenset(
    {
        "classifiers",
        "dynamic",
        "import_names",
        "import_namespaces",
        "license_files",
        "obsoletes",
        "obsoletes_dist",
        "platforms",
        "provides",
        "provides_dist",
        "provides_extra",
        "requires",
        "requires_dist",
        "requires_external",
        "supported_platforms",
    }
)
# The fields whose names in the form differ from those in packaging's RawMetadata.
_FORM_NAMES = {
    "import_names": "import_name",
    "import_namespaces": "import_namespace",
    "license_files": "license_file",
    "platforms": "platform",
    "supported_platforms": "supported_platform",
}
# What twine 7.0.0 checks but does not send.
_UNSENT = frozenset({"import_names", "import_namespaces"})

_REQUIRED = frozenset({"metadata_version", "name", "version"})
_LICENSE_FILES_SINCE = Version("2.4")
_NEWEST_METADATA = Version(METADATA_VERSIONS[-1])

_FREE_TEXT = frozenset({"description", "license", "keywords", "author", "maintainer", "summary"})
_HEADERS_END = re.compile(rb"^\r?\n", re.MULTILINE)
_HEADER = re.compile(rb"^([^\s:]+)[ \t]*:", re.MULTILINE)


def read_metadata(metadata: bytes) -> tuple[RawMetadata | None, list[Finding]]:
    """Parse METADATA or PKG-INFO as twine does, and report what makes twine refuse to send it.

    Returns None and findings if twine would stop, or if the metadata exceeds the limits.
    """
    if (obstacle := byte_order_mark(metadata) or _crowded(metadata)) is not None:
        return None, [obstacle]
    try:
        raw, unparsed = parse_email(metadata)
    except MemoryError:
        raise
    except Exception as broken:  # noqa: BLE001 - twine makes the same call and fails in the same way
        return None, [
            refused(
                "metadata-unreadable",
                f"The metadata cannot be parsed, so twine cannot send the file: "
                f"{sentence(broken)}.",
                "Rebuild with a current build backend.",
            )
        ]
    if not raw.keys() >= _REQUIRED and (obstacle := headers_cut_short(metadata)) is not None:
        return None, [obstacle]
    stated = raw.get("metadata_version", "0")
    declared = parsed_version(stated)
    if declared is None:
        return None, [
            refused(
                "metadata-version-invalid",
                f"Metadata-Version is {shown(stated)}, which is not a version, so twine cannot "
                f"send the file.",
                "Rebuild with a current build backend.",
            )
        ]
    if declared < _LICENSE_FILES_SINCE:
        # setuptools wrote License-File long before it was standardized; twine drops it.
        raw.pop("license_files", None)
        unparsed.pop("license-file", None)
    if (obstacle := _long_value(raw)) is not None:
        return None, [obstacle]
    if unparsed and declared > _NEWEST_METADATA:
        return raw, [
            doubtful(
                "metadata-field-newer",
                f"The metadata has version {shown(stated)}, and unknown fields in it are not sent: "
                f"{first(sorted(unparsed))}.",
                "Let the index decide, or build with a backend that writes an older version.",
            )
        ]
    if unparsed:
        return None, [_unsent(metadata, sorted(unparsed))]
    return raw, list(nul_characters(metadata))


def readable_metadata(metadata: bytes) -> RawMetadata:
    """Parse what can be read of METADATA or PKG-INFO, whether it is valid or not.

    For indexes that are to judge it themselves. A field that may occur once has its first value,
    and bytes that are not UTF-8 are replaced; unknown fields are left out, as no form has them.
    Raises what packaging does for metadata that it cannot parse at all.
    """
    raw, unparsed = parse_email(metadata.removeprefix(codecs.BOM_UTF8))
    found = cast("dict[str, object]", raw)
    for field, values in unparsed.items():
        name = field.replace("-", "_")
        # The description may be bytes, whatever its type says.
        texts = [
            each.decode(errors="replace") if isinstance(each, bytes) else each
            for each in cast("Sequence[str | bytes]", values)
        ]
        if name == "keywords":
            found[name] = [keyword.strip() for keyword in texts[0].split(",")]
        elif name in SINGLE_FIELDS:
            found[name] = texts[0]
        elif field == "project-url":
            found["project_urls"] = dict(map(_label_and_url, texts))
    declared = parsed_version(raw.get("metadata_version", "0"))
    if declared is not None and declared < _LICENSE_FILES_SINCE:
        found.pop("license_files", None)
    return raw


def _unsent(metadata: bytes, fields: Sequence[str]) -> Finding:
    """Say why twine does not send metadata with `fields`, which could not be parsed."""
    return not_utf8(metadata, fields) or refused(
        "metadata-field-unparsed",
        f"twine does not send metadata with unknown or repeated fields: {first(fields)}.",
        "Remove the field, or write it once, as a current build backend does.",
    )


def _crowded(metadata: bytes) -> Finding | None:
    """Count the headers before parsing them, which takes quadratic time for different ones."""
    # The headers end at a blank line.
    end = _HEADERS_END.search(metadata)
    headers = metadata[: end.start()] if end else metadata
    counts = Counter(name.lower() for name in _HEADER.findall(headers))
    if len(counts) > FIELDS:
        return refused(
            "metadata-field-unparsed",
            f"twine does not send metadata with unknown fields, and this has {len(counts):,} "
            f"different ones.",
            "Rebuild with a current build backend.",
        )
    name, most = max(counts.items(), key=lambda item: item[1], default=(b"", 0))
    if most > VALUES:
        return too_much(f"its metadata has {most:,} values of {shown(name.decode('latin-1'))}")
    return None


def _long_value(raw: RawMetadata) -> Finding | None:
    """Look for a value that would be parsed, and is far longer than any meaningful one."""
    for field, given in raw.items():
        if field in _FREE_TEXT:
            continue
        match given:
            case str():
                values = [given]
            case dict():
                values = [*given, *given.values()]
            case _:
                values = list(cast("Sequence[str]", given))
        most = CONTENT_TYPE if field == "description_content_type" else VALUE
        if (longest := max(map(len, values), default=0)) > most:
            return too_much(
                f"a value of {field.replace('_', '-')} in its metadata has {longest:,} characters"
            )
    return None


def form_of(raw: RawMetadata) -> Form:
    """Return the part of the form that twine makes from the metadata `raw` of `read_metadata`."""
    form: dict[str, list[str]] = {}
    for field, value in raw.items():
        if field in _UNSENT:
            continue
        name = _FORM_NAMES.get(field, field)
        if field == "project_urls":
            urls = cast("Mapping[str, str]", value)
            form[name] = [f"{label}, {url}" for label, url in urls.items()]
        elif field == "keywords":
            form[name] = [", ".join(cast("Sequence[str]", value))]
        elif isinstance(value, str):
            form[name] = [value]
        else:
            form[name] = list(cast("Sequence[str]", value))
    form["name"] = [re.sub(r"[^A-Za-z0-9.]+", "-", raw.get("name", ""))]
    return {name: values for name, values in form.items() if values}


def raw_of(form: Form) -> tuple[RawMetadata, list[Finding]]:
    """Read metadata from a form as the index does, and report the fields it cannot read.

    The index drops fields that are empty or `UNKNOWN` (distutils wrote that), and ignores
    unknown fields.
    """
    raw: dict[str, str | list[str] | dict[str, str]] = {}
    findings: list[Finding] = []
    for field in sorted(SINGLE_FIELDS | LIST_FIELDS | {"project_urls"}):
        values = list(form.get(_FORM_NAMES.get(field, field), ()))
        if not values or values == [""] or values[-1].strip() == "UNKNOWN":
            continue
        if field in LIST_FIELDS:
            raw[field] = values
        elif field == "project_urls":
            pairs = [_label_and_url(value) for value in values]
            if len(dict(pairs)) < len(pairs):
                findings.append(_repeated_label(pairs))
            raw[field] = dict(pairs)
        elif len(values) > 1:
            findings.append(_repeated_field(field, values))
        elif field == "keywords":
            raw[field] = [keyword.strip() for keyword in values[0].split(",")]
        else:
            raw[field] = values[0]
    return cast("RawMetadata", raw), findings


def _label_and_url(value: str) -> tuple[str, str]:
    label, _, url = value.partition(",")
    return label.strip(), url.strip()


def _repeated_label(pairs: Sequence[tuple[str, str]]) -> Finding:
    labels = [label for label, _ in pairs]
    twice = Counter(labels).most_common(1)[0][0]
    return refused(
        "project-url-repeated",
        f"Two project URLs have the same label {shown(twice)}.",
        "Give each entry of [project.urls] its own label.",
    )


def _repeated_field(field: str, values: Sequence[str]) -> Finding:
    return refused(
        "form-field-repeated",
        f"The form has {len(values)} values for {field}, which may have only one.",
        "Send the field once.",
    )
