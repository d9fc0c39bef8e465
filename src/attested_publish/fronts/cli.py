"""The command: `attested-publish publish | check | attest | rehearse | services | verify | …`.

Here is what `--help` needs; everything else is imported for the command that was chosen.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from attested_publish import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PASSWORD_VARIABLE = "ATTESTED_PUBLISH_PASSWORD"  # noqa: S105 - a variable's name

_MODES = {
    "publish": "check, attest, upload and confirm a release",
    "check": "report what the index would refuse, without uploading anything",
    "attest": "sign only, and write the attestation files",
    "rehearse": "publish to an embedded PyPI and Sigstore, offline",
}
_SERVICES = "keep the embedded PyPI and Sigstore running for any client"
_VERIFY = "verify the provenance of files on an index against an expected publisher"
_SETUP = "print what to enter on PyPI for a repository's publishing jobs, and check these"
_CONVERT = "turn PEP 740 attestations into Sigstore bundles, and back"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0: done, 1: refused or failed, 2: wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        # A console that cannot display a character must not stop a release; there may be none.
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    parser = _parser()
    options = parser.parse_args(arguments)

    from attested_publish.net import secrecy
    from attested_publish.net.untrusted import harmless
    from attested_publish.settings import WrongUsage

    secrecy.keep(secrecy.secrets_in(os.environ))
    try:
        return _run(options)
    except WrongUsage as error:
        _keep_credentials(arguments)
        told = (harmless(each, pieces=True) for each in error.sentences)
        parser.exit(2, "".join(f"attested-publish: {each}\n" for each in told))


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "services":
            return _serve(options)
        case "convert":
            from attested_publish.fronts import convert

            return convert.run(options)
        case "setup":
            from attested_publish.net.stopping import listening

            with listening():
                from attested_publish.fronts import setup

                return setup.run(options)
        case "verify":
            from attested_publish.fronts import verify

            return verify.run(options)
        case _:
            from attested_publish.net.stopping import listening

            with listening():
                from attested_publish.fronts import modes

                return modes.run(options, _values(options))


def _serve(options: argparse.Namespace) -> int:
    from attested_publish.fronts.services import WorldOptions, serve

    serve(
        WorldOptions(
            port=options.port,
            registry=options.registry,
            history=options.history,
            claims=options.claim,
            job=options.job,
            latency=options.latency,
            faults=options.fault,
            export=options.export,
            log=options.log,
        )
    )
    return 0


def _values(options: argparse.Namespace) -> Mapping[str, str]:
    from attested_publish.net import secrecy
    from attested_publish.settings import SETTINGS

    values = {
        setting.name: given
        for setting in SETTINGS
        if (given := getattr(options, setting.name.replace("-", "_"), None)) is not None
    }
    values.setdefault("password", os.environ.get(PASSWORD_VARIABLE, ""))
    secrecy.keep([values["password"].strip()])
    return values


def _keep_credentials(arguments: Sequence[str] | None) -> None:
    """Keep what addresses on the command line contain out of messages about it.

    An address with a password may have been given to the wrong option.
    """
    from attested_publish.net import secrecy

    for argument in sys.argv[1:] if arguments is None else arguments:
        secrecy.keep(secrecy.credentials_in(argument))


class _Misused(Exception):
    """The command line is invalid: the usage, and what is wrong."""

    def __init__(self, usage: str, message: str) -> None:
        super().__init__(message)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, without what may be a secret on a command line.

    A command's options are added with `fill` when that command is parsed: nobody else waits for
    what they are made from.
    """

    fill: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_args(  # type: ignore[override] # only called like this
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """See `argparse`; for unknown options, only the names are reported, not the values."""
        try:
            options, unknown = self.parse_known_args(args, namespace)
            if unknown:
                names = [name.partition("=")[0] for name in unknown if name.startswith("-")]
                self.error(f"unrecognized arguments: {' '.join(names or unknown)}")
        except _Misused as error:
            self._exit_misused(error, args)
        return options

    def parse_known_args(  # type: ignore[override] # see `parse_args`
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See `argparse`, which calls it for the command that was chosen."""
        if self.fill is not None:
            self.fill(self)
            self.fill = None
        return super().parse_known_args(args, namespace)

    def _exit_misused(self, error: _Misused, args: Sequence[str] | None) -> NoReturn:
        from attested_publish.net import secrecy
        from attested_publish.net.untrusted import harmless, shown

        secrecy.keep(secrecy.secrets_in(os.environ))
        _keep_credentials(args)
        self.exit(2, f"{error.usage}{harmless(shown(error))}\n")

    def error(self, message: str) -> NoReturn:
        """Let `parse_args` report it, which has the whole command line."""
        raise _Misused(self.format_usage(), f"{self.prog}: error: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attested-publish",
        description="Publish Python distributions, each with a signed PEP 740 attestation.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands: argparse._SubParsersAction[_Parser] = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    for mode, summary in _MODES.items():
        command = commands.add_parser(mode, help=summary, description=f"{summary}.")
        command.fill = partial(_add_mode_options, mode)
    services = commands.add_parser("services", help=_SERVICES, description=f"{_SERVICES}.")
    services.fill = _add_services_options
    commands.add_parser("verify", help=_VERIFY).fill = _add_verify_options
    commands.add_parser("setup", help=_SETUP).fill = _add_setup_options
    commands.add_parser("convert", help=_CONVERT).fill = _add_convert_options
    return parser


def _add_mode_options(mode: str, command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="distributions, folders that contain them, or patterns (instead of --packages-dir)",
    )
    command.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a JSON report of the run to this file",
    )
    if mode == "check":
        command.add_argument(
            "--offline", action="store_true", help="use no network: the files only"
        )
    if mode == "rehearse":
        _add_world_options(command)
    _add_settings(command)


def _add_services_options(command: argparse.ArgumentParser) -> None:
    _add_world_options(command)
    _add_service_options(command)


def _add_verify_options(command: argparse.ArgumentParser) -> None:
    from attested_publish.fronts import verify

    verify.add_to(command)


def _add_setup_options(command: argparse.ArgumentParser) -> None:
    from attested_publish.fronts import setup

    setup.add_to(command)


def _add_convert_options(command: argparse.ArgumentParser) -> None:
    from attested_publish.fronts import convert

    convert.add_to(command)


def _add_settings(command: argparse.ArgumentParser) -> None:
    from attested_publish.settings import SETTINGS

    for setting in SETTINGS:
        if setting.name == "mode" or setting.is_for_action_only or setting.is_for_locks:
            continue
        more = f" (default: {setting.default or 'empty'})"
        if setting.is_secret:
            more = f" (better: set {PASSWORD_VARIABLE} in the environment)"
        command.add_argument(
            f"--{setting.name}",
            metavar="{" + ",".join(setting.choices) + "}" if setting.choices else "VALUE",
            help=(setting.help + more).replace("%", "%%"),
        )


def _add_world_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--registry",
        type=Path,
        metavar="FILE",
        help="JSON file with the trusted publishers of the embedded PyPI "
        "(default: any job may publish any project)",
    )
    command.add_argument(
        "--claim",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a claim of the simulated job's identity token; may be repeated",
    )
    command.add_argument(
        "--job",
        metavar="{github,gitlab,circleci,google}",
        help="the kind of job to simulate (default: the kind of this job, else github)",
    )


def _add_service_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port",
        default="0",
        metavar="N",
        help="the port of the index (default: any free port)",
    )
    command.add_argument(
        "--history",
        type=Path,
        metavar="FILE",
        help="JSON file with releases that the embedded PyPI has from the beginning, and who "
        "published them (see docs/rehearsal.md)",
    )
    command.add_argument(
        "--latency",
        action="append",
        default=[],
        metavar="STAGE=SECONDS",
        help="delay each answer of a stage: identity, certificate, log, upload, store, index",
    )
    command.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="ENDPOINT=KIND",
        help="make an endpoint misbehave; may be repeated (see docs/rehearsal.md)",
    )
    command.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="write trust_config.json, its parts trusted_root.json and signing_config.json, "
        "jwks.json, issuer-key.pem and env.json",
    )
    command.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="write a line of JSON for each request: its stage, status, start and end",
    )
