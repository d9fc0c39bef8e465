"""Read a user's ClientTrustConfig of a Sigstore instance, and recognize other files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

from attested_publish.distributions import Changed, opened
from attested_publish.net.untrusted import shown
from attested_publish.problems import SigningProblem, Topic

MEDIA_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"

_LIMIT = 4 << 20
"""Bytes; that of the public Sigstore has about 10,000."""

_PARTS = {
    "trustedroot": ("a trusted root", "trustedRoot", "signingConfig", "signing configuration"),
    "signingconfig": ("a signing configuration", "signingConfig", "trustedRoot", "trusted root"),
}
"""Files that are one part of it, by a word in their media type: the name, the key, the other."""


def read(path: Path) -> str:
    """Return the text of a file that may be a ClientTrustConfig.

    Raises `SigningProblem` for a file that cannot be read, is not a JSON object, or is known
    to be something else; the contents are checked when they are loaded.
    """
    text = _text_of(path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        _refuse(path, "it is not JSON" if text.strip() else "it is empty")
    if not isinstance(document, dict):
        _refuse(path, "it is JSON, but not an object")
    for kind, (name, own, other, missing) in _PARTS.items():
        if kind in str(document.get("mediaType", "")).lower().replace("_", ""):
            _refuse(
                path,
                f"it is {name}, which is one part of a ClientTrustConfig; the {missing} is missing",
                "Combine both parts in one file, for example with jq:\n\n"
                f"    jq -n --slurpfile own {shown(path.name)} --slurpfile other OTHER.json \\\n"
                f"      '{{mediaType: \"{MEDIA_TYPE}\", {own}: $own[0], {other}: $other[0]}}'",
            )
    return text


def unusable(why: str) -> SigningProblem:
    """Return the problem with contents that cannot be used."""
    return SigningProblem(
        "The Sigstore trust configuration cannot be used",
        topic=Topic.TRUST_CONFIG,
        detail=f"sigstore-trust-config: {why}.",
        remedy=f"Use a ClientTrustConfig JSON (media type {MEDIA_TYPE}) of a Sigstore instance "
        "with a Rekor v1 log.",
    )


def _text_of(path: Path) -> str:
    try:
        real = path.resolve()
        with opened(real, [real.parent]) as file:
            content = file.read(_LIMIT + 1)
    except Changed:
        _refuse(path, "it is not a regular file")
    except (OSError, RuntimeError) as error:
        _refuse(path, getattr(error, "strerror", None) or "it could not be opened")
    if len(content) > _LIMIT:
        _refuse(path, f"it has more than {_LIMIT >> 20} MiB, which no such file has")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse(path, "it is not text in UTF-8")


def _refuse(path: Path, why: str, remedy: str = "") -> NoReturn:
    raise SigningProblem(
        "The Sigstore trust configuration cannot be used",
        topic=Topic.TRUST_CONFIG,
        detail=f"sigstore-trust-config is {shown(path)}: {why}.",
        remedy=remedy
        or f"Name a ClientTrustConfig JSON file (media type {MEDIA_TYPE}), or leave the setting "
        "out to use the public Sigstore.",
    ) from None
