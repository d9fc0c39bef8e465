"""Where the bounds of a project page are (how it is read: tests/net/test_network_rules.py)."""

from __future__ import annotations

import json

import pytest

from attested_publish.index.project_page import NotAPage, entries


def page(members: int) -> bytes:
    return json.dumps({f"member{number}": number for number in range(members)}).encode()


def test_a_page_has_a_hundred_members_and_no_more() -> None:
    assert len(list(entries(page(100)))) == 100
    with pytest.raises(NotAPage, match="more than 100 members"):
        list(entries(page(101)))


@pytest.mark.parametrize("digits", [4095, 4096, 4097, 4200])
def test_a_number_longer_than_what_is_read_first_is_not_cut(digits: int) -> None:
    number = int("9" * digits)
    assert dict(entries(b'{"a": %d, "b": 1}' % number)) == {"a": number, "b": 1}
