"""`attested-publish convert`: Sigstore bundles from PEP 740 attestations, and back."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import KINDS
from attested_publish.fronts.running import write_whole
from attested_publish.fronts.standard_output import CLOSED, hand_out
from attested_publish.net.parallel import meanwhile
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import FilesProblem, counted

if TYPE_CHECKING:
    from attested_publish.attestations.found import Found

_STANDARD_OUTPUT = "standard output"

_DESCRIPTION = """\
Turn PEP 740 attestations into Sigstore bundles, which cosign and other tools can verify, and
Sigstore bundles into attestations, which PyPI accepts. The conversion verifies nothing.

FILE contains an attestation (*.publish.attestation), a provenance as an index serves it, or a
Sigstore bundle (*.sigstore.json; if there are several, one on each line). A bundle is converted
if PyPI could accept it: one statement about one file, of predicate type publish or SLSA
provenance v1, with an entry of Rekor v1; otherwise the reason is printed (exit status 1)."""

_EXAMPLE = """\
example:
  attested-publish convert sample-1.0-py3-none-any.whl.publish.attestation \\
      --output sample.sigstore.json
  cosign verify-blob-attestation --new-bundle-format --bundle sample.sigstore.json \\
      --type https://docs.pypi.org/attestations/publish/v1 \\
      --certificate-oidc-issuer https://token.actions.githubusercontent.com \\
      --certificate-identity-regexp '^https://github.com/OWNER/REPOSITORY/' \\
      sample-1.0-py3-none-any.whl"""


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the description and the options to the command's parser."""
    command.description = _DESCRIPTION
    command.epilog = _EXAMPLE
    command.add_argument("file", type=Path, metavar="FILE", help="what to convert")
    command.add_argument(
        "--to",
        choices=("bundle", "attestation"),
        help="the form to convert to (default: the other one)",
    )
    command.add_argument(
        "--only",
        choices=tuple(KINDS.values()),
        help="of several attestations, convert the one of this kind: cosign needs a file for each",
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write it (default: standard output)",
    )


def run(options: argparse.Namespace) -> int:
    """Convert a file. Returns 0: done, 1: it could not be converted (the reason was printed)."""
    from attested_publish.attestations.convert import NotConvertible
    from attested_publish.fronts.step_summary import summarize

    # The child process imports what takes long at the same time as this process.
    documents = meanwhile(lambda: _read(options.file))
    name, made, why_not = options.file, [], ""
    try:
        made = [text for each in documents() for text in _converted(each, options.to, options.only)]
        if not made:
            kind = f"{options.only} " if options.only else ""
            why_not = f"It contains no {kind}attestation."
    except NotConvertible as error:
        why_not = str(error)
    except FilesProblem as problem:
        why_not = f"{problem.title}. {problem.detail}"
    if not why_not:
        name = options.output or _STANDARD_OUTPUT
        why_not = _written("".join(f"{line}\n" for line in made), options.output)
    if why_not:
        _say(f"{shown(os.fspath(name))}: {why_not}")
    summarize(partial(_page, os.fspath(options.file), len(made), why_not), _say)
    return 1 if why_not else 0


def _page(name: str, made: int, why_not: str, limit: int) -> str:
    """Return the summary of a conversion: how many forms were made of a file, or why none."""
    from attested_publish.fronts.markdown import Block, escaped, page_of, prose

    line = f"✅ {escaped(name)}: {counted(made, 'attestation')} converted"
    if why_not:
        line = f"❌ {escaped(name)} was not converted: {prose(why_not)}"
    return page_of([Block(f"### {line}\n")], (), limit)


def _written(text: str, path: Path | None) -> str:
    """Write what was made; return why that failed, or an empty text."""
    if path is None:
        why = hand_out(text)
        if why == CLOSED:
            return "It is closed."
    else:
        try:
            write_whole(text, path)
        except OSError as error:
            why = str(error.strerror)
        else:
            why = ""
    return f"It could not be written: {why}." if why else ""


def _read(path: Path) -> list[Found]:
    from attested_publish.attestations.found import found_in
    from attested_publish.sandbox.pool import shared_sandbox

    # A link may point anywhere, because the user named it.
    return found_in(Path(os.path.realpath(path)), shared_sandbox())


def _converted(document: Found, to: str | None, only: str | None) -> Iterator[str]:
    """Yield the conversions of a document, as JSON; a provenance may have several attestations."""
    from pypi_attestations import Attestation

    from attested_publish.attestations.convert import Form, NotConvertible, bundle_of
    from attested_publish.attestations.verify import predicate_type_of

    if document.form is Form.BUNDLE and to == "bundle":
        raise NotConvertible("It is already a Sigstore bundle.")
    if document.form is Form.ATTESTATION and to == "attestation":
        raise NotConvertible("It is already a PEP 740 attestation.")
    if document.why_not:
        raise NotConvertible(document.why_not)
    is_bundle = document.form is not Form.BUNDLE and to != "attestation"
    for text in document.attestations:
        attestation = Attestation.model_validate_json(text)
        if only is None or KINDS.get(predicate_type_of(attestation)) == only:
            yield bundle_of(attestation).to_json() if is_bundle else text


def _say(text: str) -> None:
    print(f"attested-publish: {harmless(text)}", file=sys.stderr)
