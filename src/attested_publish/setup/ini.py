"""Read INI files (setup.cfg, .pypirc) in linear time."""

from __future__ import annotations

import configparser
import re

from attested_publish.setup.reading import NotRead

_MANY_BLANKS = re.compile(r"[^\S\n]{100}")
"""configparser takes quadratic time for them: 40 seconds for 32 KB before a letter."""


def parsed_ini(text: str) -> configparser.RawConfigParser:
    """Parse an INI file. Raises `NotRead`."""
    if _MANY_BLANKS.search(text):
        raise NotRead("it has too many blanks in a row")
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise NotRead(f"it is not valid: {error}") from error
    return parser
