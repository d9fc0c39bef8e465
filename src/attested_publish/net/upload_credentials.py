"""What is wrong with a user and password, as far as that can be known before they are used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

TOKEN_USER = "__token__"  # noqa: S105 - the user name that API tokens go with
_TOKEN_PREFIX = "pypi-"  # noqa: S105 - what each API token begins with
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_LABEL = re.compile(r"(?:bearer|basic|token)\s+|\w+\s*[=:]\s*", re.IGNORECASE)

# A macaroon names the server that made it, directly after the prefix (base64 of `\x02\x01`, the
# length, and the host).
_MADE_BY = {"AgEIcHlwaS5vcmc": "PyPI", "AgENdGVzdC5weXBpLm9yZw": "TestPyPI"}


def faults_of(user: str, password: str, index: str | None) -> Iterator[str]:
    """Yield what is wrong with a user and a password, which may be empty; neither is ever shown.

    Parts of a password are masked in the sentences, too: they do not repeat what people write.
    `index` is `PyPI` or `TestPyPI`, or `None` for any other: its tokens may have any form.
    """
    if any(unicodedata.category(char) == "Cc" for char in password):
        yield "password contains a line break or another control character."
        return
    if index is None:
        if ":" in user and password:
            yield (
                "user contains a colon, and an index takes what follows it for the password: give "
                "the name alone as user, and the rest as password."
            )
        return
    if user.strip(_QUOTES).startswith(_TOKEN_PREFIX):
        yield "user is an API token: give it as password, and leave user out."
        return
    if not password:
        return
    if (fault := _fault_of_token(password, index)) is not None:
        yield fault
    if user != TOKEN_USER:
        yield (
            f"user has to be {TOKEN_USER} for {index}, which accepts no other with an API token, "
            "and no user names of accounts: leave user out."
        )


def _fault_of_token(password: str, index: str) -> str | None:
    """Return what is wrong with what should be an API token of PyPI or TestPyPI."""
    if password.startswith("$"):
        return (
            "password is an expression or variable that has not been evaluated: GitHub evaluates "
            "expressions in workflow files only, not in scripts or other files."
        )
    if password[0] in _QUOTES or password[-1] in _QUOTES:
        return "password is in quotes: give the token without them."
    label = _LABEL.match(password)
    if label is not None and password[label.end() :].strip(_QUOTES).startswith(_TOKEN_PREFIX):
        return (
            "There is a word before the token, such as its name: give the token alone, which "
            f"begins with {_TOKEN_PREFIX}."
        )
    if any(char.isspace() for char in password):
        return "password contains a blank, which no token does: copy it again, in one piece."
    if not password.startswith(_TOKEN_PREFIX):
        return (
            f"password does not begin with {_TOKEN_PREFIX}, as every API token of {index} does; "
            "passwords of accounts are not accepted. Copy the whole token, or leave password out "
            "for trusted publishing."
        )
    for start, maker in _MADE_BY.items():
        if password.startswith(f"{_TOKEN_PREFIX}{start}") and maker != index:
            return f"password is a token of {maker}, but repository-url is {index}'s."
    return None
