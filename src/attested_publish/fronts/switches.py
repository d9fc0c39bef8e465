"""Options that mean true when they are given alone, in every command.

`--verbose`, `--verbose true`, `--verbose=false` and `--verbose dist` all mean what they seem to:
the word after such an option is its value, unless it is a path.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import Any

from attested_publish.problems import alternatives

TRUE_FALSE = ("true", "false")


class Switch(argparse.Action):
    """An option whose value may be left out: then it is `true`. `words` are its usual values."""

    def __init__(
        self,
        *,
        words: Sequence[str] = TRUE_FALSE,
        **given: Any,  # noqa: ANN401 - what `argparse.Action` takes
    ) -> None:
        super().__init__(nargs="?", const="true", **given)
        self.words = tuple(words)

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value: object,
        _option: str | None = None,
    ) -> None:
        """See `argparse`."""
        setattr(namespace, self.dest, value)


def add_verbose(command: argparse.ArgumentParser) -> None:
    """Add `--verbose` to a command that does not have every setting; its value is a `bool`."""
    command.add_argument(
        "--verbose",
        action=Switch,
        type=_true_or_false,
        default=False,
        metavar="{true,false}",
        help="print more details, including tracebacks (default: false)",
    )


def with_values(arguments: Iterable[str], actions: dict[str, argparse.Action]) -> list[str]:
    """Join each switch in `arguments` with its value: `--confirm false` to `--confirm=false`.

    `actions` are those of the parser, by option. `argparse` would take any word after a switch for
    its value, even the path that follows it.
    """
    waiting = list(arguments)
    done: list[str] = []
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*done, word, *waiting]
        switch = _switch_of(word, actions)
        if switch is None:
            done.append(word)
        elif waiting and _is_value(waiting[0], switch):
            done.append(f"{word}={waiting.pop(0)}")
        else:
            done.append(f"{word}={switch.const}")
    return done


def _switch_of(word: str, actions: dict[str, argparse.Action]) -> Switch | None:
    """Return the switch that this word names, perhaps abbreviated, if it names one."""
    if not word.startswith("--"):
        return None
    meant = {word} & actions.keys() or {name for name in actions if name.startswith(word)}
    if len(meant) != 1:
        return None
    action = actions[meant.pop()]
    return action if isinstance(action, Switch) else None


def _is_value(word: str, switch: Switch) -> bool:
    """Is the word after a switch its value? A mistyped one is; a path or an option is not."""
    if word.lower() in switch.words:
        return True
    if word.startswith("-"):
        return False
    # A tag's pattern may have slashes, too, and has braces.
    is_written_as_path = any(each in word for each in "*?[") or (
        "{" not in word and any(each in word for each in "/\\")
    )
    return not (is_written_as_path or _exists(word))


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _true_or_false(text: str) -> bool:
    word = text.strip().lower() or "false"
    if word not in TRUE_FALSE:
        raise argparse.ArgumentTypeError(f"it is {text!r}; it must be {alternatives(TRUE_FALSE)}")
    return word == "true"
