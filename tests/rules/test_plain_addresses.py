"""The addresses that are taken for valid without asking rfc3986, which takes a while to import."""

from __future__ import annotations

import random

import pytest
from rfc3986 import uri_reference
from rfc3986.validators import Validator

from attested_publish.rules.metadata import _PLAIN_ADDRESS

HOSTS = "abzAZ09.-"
PATHS = "abzAZ09._~/-"


def some_addresses(number: int) -> list[str]:
    """Make addresses of all characters that plain ones may have, odd combinations included."""
    chance = random.Random(7)
    return [
        chance.choice(["http", "https"])
        + "://"
        + chance.choice("abcXYZ")
        + "".join(chance.choices(HOSTS, k=chance.randrange(12)))
        + chance.choice(["", "/"])
        + "".join(chance.choices(PATHS, k=chance.randrange(12)))
        for _ in range(number)
    ]


def test_rfc3986_finds_every_plain_address_valid() -> None:
    plain = [each for each in some_addresses(5000) if _PLAIN_ADDRESS.fullmatch(each)]
    assert len(plain) > 2000
    for address in plain:
        validator = Validator().allow_schemes("http", "https").require_presence_of("scheme")
        validator.check_validity_of("scheme", "host", "port", "path", "query")
        validator.validate(uri_reference(address).normalize())


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.org/",
        "https://999.1.1.1/",
        "https://example.org:port/",
        "https://example.org/a b",
        "https://exa mple.org/",
        "https://example.org/%zz",
        "https://example.org/\n",
        "mailto:someone@example.org",
    ],
)
def test_an_odd_address_is_left_to_it(address: str) -> None:
    assert not _PLAIN_ADDRESS.fullmatch(address)
