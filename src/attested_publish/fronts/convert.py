"""`attested-publish convert`: Sigstore bundles from PEP 740 attestations, and back."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import KINDS
from attested_publish.net.parallel import meanwhile
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import FilesProblem

if TYPE_CHECKING:
    from attested_publish.attestations.found import Found

_STANDARD_OUTPUT = "the standard output"

SUMMARY = "turn PEP 740 attestations into Sigstore bundles, and back"

_DESCRIPTION = """\
Turn PEP 740 attestations into Sigstore bundles, which cosign and other tools verify, and
Sigstore bundles into attestations, which PyPI takes. Nothing is verified by this.

FILE holds an attestation (*.publish.attestation), a provenance as an index serves it, or a
Sigstore bundle (*.sigstore.json; with several, one on each line). A bundle is converted when
PyPI could accept it: one statement about one file, of predicate type publish or SLSA
provenance v1, with an entry of Rekor v1; otherwise it is said why not (exit status 1)."""

_EXAMPLE = """\
example:
  attested-publish convert sample-1.0-py3-none-any.whl.publish.attestation \\
      --output sample.sigstore.json
  cosign verify-blob-attestation --new-bundle-format --bundle sample.sigstore.json \\
      --type https://docs.pypi.org/attestations/publish/v1 \\
      --certificate-oidc-issuer https://token.actions.githubusercontent.com \\
      --certificate-identity-regexp '^https://github.com/OWNER/REPOSITORY/' \\
      sample-1.0-py3-none-any.whl"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "convert",
        help=SUMMARY,
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="what is converted")
    command.add_argument(
        "--to",
        choices=("bundle", "attestation"),
        help="what to make of it (default: what it is not)",
    )
    command.add_argument(
        "--only",
        choices=tuple(KINDS.values()),
        help="of several attestations, take the one of this kind: cosign wants a file for each",
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write it (default: to the standard output)",
    )


def run(options: argparse.Namespace) -> int:
    """Convert a file. Returns 0: done, 1: it cannot be converted (it was said why)."""
    from attested_publish.attestations.convert import NotConvertible

    # The child process imports what takes long at the same time as this process.
    documents = meanwhile(lambda: _read(options.file))
    try:
        made = [text for each in documents() for text in _converted(each, options.to, options.only)]
    except NotConvertible as error:
        return _failed(options.file, str(error))
    except FilesProblem as problem:
        return _failed(options.file, f"{problem.title}. {problem.detail}")
    if not made:
        kind = f"{options.only} " if options.only else ""
        return _failed(options.file, f"There is no {kind}attestation in it.")
    text = "".join(f"{line}\n" for line in made)
    try:
        if options.output is not None:
            options.output.write_text(text, encoding="utf-8", newline="\n")
        elif sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            return _failed(_STANDARD_OUTPUT, "It is closed.")
    except OSError as error:
        name = options.output or _STANDARD_OUTPUT
        return _failed(name, f"It cannot be written: {error.strerror}.")
    return 0


def _read(path: Path) -> list[Found]:
    from attested_publish.attestations.found import found_in
    from attested_publish.sandbox.pool import shared_sandbox

    # A link may lead anywhere: it was named.
    return found_in(path.resolve(), shared_sandbox())


def _converted(document: Found, to: str | None, only: str | None) -> Iterator[str]:
    """Yield what becomes of a document, as JSON; a provenance may hold several attestations."""
    from pypi_attestations import Attestation

    from attested_publish.attestations.convert import Form, NotConvertible, bundle_of
    from attested_publish.attestations.verify import predicate_type_of

    if document.form is Form.BUNDLE and to == "bundle":
        raise NotConvertible("It is a Sigstore bundle already.")
    if document.form is Form.ATTESTATION and to == "attestation":
        raise NotConvertible("It is a PEP 740 attestation already.")
    if document.why_not:
        raise NotConvertible(document.why_not)
    is_bundle = document.form is not Form.BUNDLE and to != "attestation"
    for text in document.attestations:
        attestation = Attestation.model_validate_json(text)
        if only is None or KINDS.get(predicate_type_of(attestation)) == only:
            yield bundle_of(attestation).to_json() if is_bundle else text


def _failed(path: Path | str, why: str) -> int:
    print(f"attested-publish: {harmless(f'{shown(os.fspath(path))}: {why}')}", file=sys.stderr)
    return 1
