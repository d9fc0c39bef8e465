"""How many children there are: a second one where there is much to do, one when that is done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from attested_publish.sandbox.pool import CHILDREN, FEW, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOAD = "attested_publish.sandbox.child:load"
_SMALL = {"module": "attested_publish.findings"}
_LARGE = {"module": "attested_publish.rules.questions"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def ask(sandbox: Sandbox, *questions: dict[str, str]) -> None:
    """Ask all at the same time."""
    with ThreadPoolExecutor(len(questions)) as threads:
        for answer in [threads.submit(sandbox.ask, _LOAD, each) for each in questions]:
            assert answer.result() == {}


def test_a_few_small_files_share_one_child(sandbox: Sandbox) -> None:
    sandbox.start("attested_publish.sandbox.child")
    ask(sandbox, _SMALL, _SMALL)
    assert len(sandbox._all) == 1


@pytest.mark.skipif(CHILDREN == 1, reason="needs two processors")
def test_many_files_get_a_second_child_and_leave_one(sandbox: Sandbox) -> None:
    ask(sandbox, _LARGE, *[_SMALL] * (FEW + 2))
    assert len(sandbox._all) == CHILDREN
    sandbox.keep_one()
    assert len(sandbox._all) == 1
    ask(sandbox, _SMALL)
    assert len(sandbox._all) == 1
