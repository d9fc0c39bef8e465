"""The command: `attested-publish publish | check | attest | rehearse | services | verify | …`.

Here is what `--help` needs; everything else is imported for the command that was chosen.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from attested_publish import DOCUMENTATION, __version__

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
_OTHERS = {
    "services": "keep the embedded PyPI and Sigstore running for any client",
    "verify": "verify the provenance of files on an index against an expected publisher",
    "setup": "print what to enter on PyPI for a repository's publishing jobs, and check these",
    "convert": "turn PEP 740 attestations into Sigstore bundles, and back",
    "explain": "print a section of the troubleshooting guide, offline",
    "completion": "print a script by which a shell completes this command",
}
"""The modes, and the other commands: what each is for."""

_PAGES = {
    "publish": "docs/how-it-works.md",
    "check": "docs/how-it-works.md#the-stages",
    "attest": "docs/how-it-works.md#signing-only",
    "rehearse": "docs/rehearsal.md",
    "services": "docs/rehearsal.md",
    "verify": "docs/verifying.md",
    "setup": "docs/setup.md",
    "convert": "docs/verifying.md#with-other-tools",
    "explain": "docs/troubleshooting.md",
    "completion": "docs/installing.md#completion",
}
"""Where to read on about a command."""

_EXAMPLES = {
    "": """\
  attested-publish check --offline dist
  attested-publish rehearse dist
  attested-publish COMMAND --help""",
    "publish": """\
  attested-publish publish dist
  attested-publish publish --attestations true --report report.json dist/*.whl
  attested-publish publish --repository-url https://test.pypi.org/legacy/ dist""",
    "check": """\
  attested-publish check dist
  attested-publish check --offline --verify-metadata strict dist""",
    "attest": """\
  attested-publish attest dist
  attested-publish attest --provenance --attestations-dir attestations dist""",
    "rehearse": """\
  attested-publish rehearse
  attested-publish rehearse --registry publishers.json dist""",
    "services": """\
  attested-publish services --port 8080 --export world
  attested-publish services --fault upload=503*2 --latency log=0.5""",
}
"""Of those whose own module has none."""


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
        told = [harmless(each, pieces=True) for each in error.sentences]
        _summarize_wrong_usage(told)
        parser.exit(2, "".join(f"attested-publish: {each}\n" for each in told))


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "services":
            return _serve(options)
        case "convert":
            from attested_publish.fronts import convert

            return convert.run(options)
        case "explain":
            from attested_publish.fronts import explain

            return explain.run(options)
        case "completion":
            from attested_publish.fronts import completion

            return completion.run(options)
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


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wraps paragraphs to the terminal; examples, and all else that is indented, stay."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        from textwrap import fill

        parts = []
        for part in text.split("\n\n"):
            if any(line.startswith(" ") or "://" in line for line in part.splitlines()):
                parts.append(super()._fill_text(part, width, indent))
            else:
                parts.append(fill(part, width, break_on_hyphens=False))
        return "\n\n".join(parts)


class _Misused(Exception):
    """The command line is invalid: what is wrong, and the parser that found it."""

    def __init__(self, parser: str, message: str) -> None:
        super().__init__(f"{parser}: error: {message}")
        self.parser = parser


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in a line or two, without what may be a secret on a command line.

    A command's options are added with `fill` when that command is parsed: nobody else waits for
    what they are made from.
    """

    fill: Callable[[argparse.ArgumentParser], None] | None = None
    is_filled = False
    commands: Mapping[str, _Parser] = MappingProxyType({})

    @property
    def arguments(self) -> Sequence[argparse.Action]:
        """Its arguments and options."""
        return self._actions

    def parse_args(  # type: ignore[override] # only called like this
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """See `argparse`; for unknown options, only the names are reported, not the values."""
        try:
            options, _ = self.parse_known_args(args, namespace)
        except _Misused as error:
            self._exit_misused(error, args)
        return options

    def parse_known_args(  # type: ignore[override] # see `parse_args`
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See `argparse`, which calls it for the command that was chosen."""
        self.filled()
        if args is not None and self.fill is not None:
            from attested_publish.fronts.switches import with_values

            args = with_values(args, self._option_string_actions)
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            # By the parser of the command, whose help helps.
            names = [name.partition("=")[0] for name in unknown if name.startswith("-")]
            hint = self._meant(names) if names else self._scattered()
            self.error(f"unrecognized arguments: {' '.join(names or unknown)}{hint}")
        return options, unknown

    def _meant(self, names: Sequence[str]) -> str:
        """Return the options that are closest to unknown ones, as a question."""
        from difflib import get_close_matches

        known = list(self._option_string_actions)
        close = dict.fromkeys(each for name in names for each in get_close_matches(name, known, 1))
        return f" (did you mean {' '.join(close)}?)" if close else ""

    def _scattered(self) -> str:
        """Return what to do about paths on both sides of an option, which `argparse` refuses."""
        takes_several = any(not each.option_strings and each.nargs == "*" for each in self._actions)
        return " (write all paths next to each other)" if takes_several else ""

    def filled(self) -> None:
        """Add the options of a command, once."""
        if self.fill is not None and not self.is_filled:
            self.fill(self)
            self.is_filled = True

    def _exit_misused(self, error: _Misused, args: Sequence[str] | None) -> NoReturn:
        from attested_publish.net import secrecy
        from attested_publish.net.untrusted import harmless, shown

        secrecy.keep(secrecy.secrets_in(os.environ))
        _keep_credentials(args)
        _summarize_wrong_usage([shown(error)])
        self.exit(2, f"{harmless(shown(error))}\nSee `{error.parser} --help`.\n")

    def error(self, message: str) -> NoReturn:
        """Let `parse_args` report it, which has the whole command line."""
        raise _Misused(self.prog, message)


def _summarize_wrong_usage(sentences: Sequence[str]) -> None:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from attested_publish.fronts.step_summary import summarize_wrong_usage

        summarize_wrong_usage(sentences, lambda text: print(text, file=sys.stderr))


def _parser() -> _Parser:
    parser = _Parser(
        prog="attested-publish",
        description="Publish Python distributions, each with a signed PEP 740 attestation.",
        epilog=_epilog(f"examples:\n{_EXAMPLES['']}", "README.md"),
        formatter_class=_Help,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=__version__,
        help="print the version of this program, and exit",
    )
    commands: argparse._SubParsersAction[_Parser] = parser.add_subparsers(
        dest="command",
        required=True,
        metavar="COMMAND",
        parser_class=_Parser,
        help="what to do; each has its own --help",
    )
    for name, summary in {**_MODES, **_OTHERS}.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_Help,
        )
        command.fill = partial(_fill, name)
    parser.commands = commands.choices
    return parser


def complete_parser() -> _Parser:
    """Return the parser with the options of all commands, for what describes them."""
    parser = _parser()
    for command in parser.commands.values():
        command.filled()
    return parser


def _epilog(examples: str, page: str) -> str:
    return f"{examples}\n\nmore: {DOCUMENTATION}{page}"


def _fill(name: str, command: argparse.ArgumentParser) -> None:
    """Add what the help of a command shows: its options, and the end."""
    if name in _MODES:
        _add_mode_options(name, command)
    elif name == "services":
        _add_world_options(command)
        _add_service_options(command)
    else:
        # Only the module of the command that was chosen is imported.
        import_module(f"attested_publish.fronts.{name}").add_to(command)
    examples = f"examples:\n{_EXAMPLES[name]}" if name in _EXAMPLES else command.epilog or ""
    command.epilog = _epilog(examples, _PAGES[name])


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


def _add_settings(command: argparse.ArgumentParser) -> None:
    from attested_publish.fronts.switches import TRUE_FALSE, Switch
    from attested_publish.settings import SETTINGS

    for setting in SETTINGS:
        if setting.name == "mode" or setting.is_for_action_only or setting.is_for_locks:
            continue
        more = f" (default: {setting.default or 'empty'})"
        if setting.is_secret:
            more = f" (better: set {PASSWORD_VARIABLE} in the environment)"
        metavar = "{" + ",".join(setting.choices) + "}" if setting.choices else setting.metavar
        help_text = (setting.help + more).replace("%", "%%")
        if "true" in metavar:
            words = setting.choices or ("auto", *TRUE_FALSE)
            command.add_argument(
                f"--{setting.name}", action=Switch, words=words, metavar=metavar, help=help_text
            )
        else:
            command.add_argument(f"--{setting.name}", metavar=metavar, help=help_text)


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
