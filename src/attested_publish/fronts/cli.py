"""The command: `attested-publish publish | check | attest | rehearse | services | verify | …`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from attested_publish import __version__
from attested_publish.fronts import convert as convert_command
from attested_publish.fronts import verify as verify_command
from attested_publish.net import secrecy
from attested_publish.net.untrusted import harmless, shown
from attested_publish.settings import (
    SETTINGS,
    Mode,
    Settings,
    WrongUsage,
    gathering,
    understand,
)

if TYPE_CHECKING:
    from rich.console import Console

    from attested_publish.console.printer import Printer
    from attested_publish.journey.run import Run
    from attested_publish.journey.targets import Targets
    from attested_publish.report import Report

PASSWORD_VARIABLE = "ATTESTED_PUBLISH_PASSWORD"  # noqa: S105 - a variable's name

_SUMMARIES = {
    Mode.PUBLISH: "check, attest, upload and confirm a release",
    Mode.CHECK: "report what the index would refuse, without uploading anything",
    Mode.ATTEST: "sign only, and write the attestation files",
    Mode.REHEARSE: "publish to an embedded PyPI and Sigstore, offline",
}
_SERVICES_SUMMARY = "keep the embedded PyPI and Sigstore running for any client"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0: done, 1: refused or failed, 2: wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        # A console that cannot display a character must not stop a release; there may be none.
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    secrecy.keep(secrecy.secrets_in(os.environ))
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "services":
            return _serve(options)
        if options.command == "convert":
            return convert_command.run(options)
        if options.command == "verify":
            return verify_command.run(options, _console())
        return _run(options)
    except WrongUsage as error:
        _keep_credentials(arguments)
        told = (harmless(each, pieces=True) for each in error.sentences)
        parser.exit(2, "".join(f"attested-publish: {each}\n" for each in told))


def _run(options: argparse.Namespace) -> int:
    from attested_publish.net.stopping import listening

    with listening():
        return _carry_out(options)


def _carry_out(options: argparse.Namespace) -> int:
    settings = _settings(options)

    from attested_publish.console.mask import mask
    from attested_publish.console.printer import Printer
    from attested_publish.console.recorder import Recorder
    from attested_publish.fronts.running import carry_out, mask_secrets
    from attested_publish.journey.outcome import report_of
    from attested_publish.journey.run import Run
    from attested_publish.report import Result

    mask_secrets(mask, settings, os.environ)
    printer = Printer(_console(), verbose=settings.verbose)
    run = Run(settings.mode.value, settings, Recorder(printer), mask)
    result = carry_out(lambda: _work(options, run), run)
    if options.report is not None:
        _hand_over(report_of(run), options.report, printer)
    return 0 if result is Result.DONE else 1


def _settings(options: argparse.Namespace) -> Settings:
    """Parse the options; raises one `WrongUsage` for everything that is wrong with them."""
    faults: list[str] = []
    settings = Settings()
    with gathering(faults):
        settings = understand({**_values(options), "mode": options.command})
    if "" in options.paths:
        faults.append("PATH is empty: is there a variable without a value on the command line?")
    if options.paths:
        settings = replace(settings, packages_dir=tuple(dict.fromkeys(options.paths)))
    if options.report is not None:
        try:
            _prove_writable(options.report)
        except OSError as error:
            faults.append(f"--report cannot be written: {error.strerror}.")
    if options.command == Mode.REHEARSE:
        from attested_publish.rehearsal.rehearse import read_world

        # It is read again when the services are started; wrong options are told with the others.
        with gathering(faults):
            read_world(options.registry, options.claim, options.job)
    if faults:
        raise WrongUsage(*faults)
    return settings


def _hand_over(report: Report, path: Path, printer: Printer) -> None:
    """Write the report; where that fails, the release is what it is all the same."""
    from attested_publish.fronts.running import write_report
    from attested_publish.net.stopping import Stopped, see_through

    try:
        see_through(lambda: write_report(report, path))
    except (OSError, Stopped) as error:
        why = getattr(error, "strerror", None) or str(error)
        printer.warning(f"The report could not be written to {shown(path)}: {why}.")


def _prove_writable(report: Path) -> None:
    """Check before anything else that the report can be written; raises `OSError`."""
    # A link may point to a file that does not exist yet.
    path = report.resolve()
    is_there = path.exists()
    if is_there and not path.is_file() and not path.is_dir():
        # A reader of a pipe would take this for the whole report.
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab"):
        pass
    if not is_there:
        path.unlink()


def _console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a log."""
    from rich.console import Console

    from attested_publish.console.output import Output

    output = Output(sys.stdout)
    width = None if output.isatty() else 120
    return Console(file=output, highlight=False, emoji=False, width=width)  # type: ignore[arg-type] # has the file methods that are used


def _work(options: argparse.Namespace, run: Run) -> None:
    from attested_publish.journey import publish
    from attested_publish.journey.targets import chosen

    if run.settings.mode is Mode.REHEARSE:
        from attested_publish.rehearsal.rehearse import rehearse

        has_own_files = bool(options.paths) or options.packages_dir is not None
        rehearse(run, options.registry, options.claim, sample=not has_own_files, job=options.job)
        return
    run.targets = chosen(run.settings)
    match run.settings.mode:
        case Mode.PUBLISH:
            publish.publish(run)
        case Mode.CHECK if options.offline:
            publish.check_files(run)
        case Mode.CHECK:
            publish.check(run)
        case Mode.ATTEST:
            run.targets = _with_sign_in(run.targets, run.printer)
            publish.attest(run)


def _with_sign_in(targets: Targets, printer: Printer) -> Targets:
    """Let a person sign in if there is one at the terminal, and the machine has no identity."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return targets
    from attested_publish.attestations.sign_in import SignIn

    ambient = SignIn(targets.ambient, targets.trust_config, printer.notice)
    return replace(targets, ambient=ambient)


def _serve(options: argparse.Namespace) -> int:
    from attested_publish.fronts.services import WorldOptions, serve

    serve(
        WorldOptions(
            port=options.port,
            registry=options.registry,
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
    for argument in sys.argv[1:] if arguments is None else arguments:
        secrecy.keep(secrecy.credentials_in(argument))


class _Misused(Exception):
    """The command line is invalid: the usage, and what is wrong."""

    def __init__(self, usage: str, message: str) -> None:
        super().__init__(message)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, without what may be a secret on a command line."""

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
            _keep_credentials(args)
            self.exit(2, f"{error.usage}{harmless(shown(error))}\n")
        return options

    def error(self, message: str) -> NoReturn:
        """Let `parse_args` report it, which has the whole command line."""
        raise _Misused(self.format_usage(), f"{self.prog}: error: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attested-publish",
        description="Publish Python distributions, each with a signed PEP 740 attestation.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    for mode, summary in _SUMMARIES.items():
        command = commands.add_parser(mode.value, help=summary, description=f"{summary}.")
        command.add_argument(
            "paths",
            nargs="*",
            metavar="PATH",
            help="distributions, folders that contain them, or patterns (instead of "
            "--packages-dir)",
        )
        command.add_argument(
            "--report",
            type=Path,
            metavar="FILE",
            help="write a JSON report of the run to this file",
        )
        if mode is Mode.CHECK:
            command.add_argument(
                "--offline", action="store_true", help="use no network: the files only"
            )
        if mode is Mode.REHEARSE:
            _add_world_options(command)
        _add_settings(command)
    services = commands.add_parser(
        "services", help=_SERVICES_SUMMARY, description=f"{_SERVICES_SUMMARY}."
    )
    _add_world_options(services)
    _add_service_options(services)
    verify_command.add_to(commands)
    convert_command.add_to(commands)
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    for setting in SETTINGS:
        if setting.name == "mode" or setting.is_for_action_only:
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
