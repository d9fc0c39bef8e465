"""The child processes answer with functions of this package, whichever they are, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.problems import FilesProblem
from attested_publish.sandbox.pool import Sandbox, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHILD = "attested_publish.sandbox.child"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def test_a_function_is_named_and_imported(sandbox: Sandbox) -> None:
    """Any module of the package: here the one that is in the child anyway."""
    assert sandbox.ask(f"{_CHILD}:load", {"module": "attested_publish.findings"}) == {}


@pytest.mark.parametrize("module", ["os", "attested_publish", "attested_publisher.x", "packaging"])
def test_what_is_not_in_the_package_is_not_imported(sandbox: Sandbox, module: str) -> None:
    with pytest.raises(FilesProblem, match="could not be inspected") as caught:
        sandbox.ask(f"{module}:system", {})
    assert "not part of this package" in caught.value.detail
    sandbox.load(_CHILD)
    with pytest.raises(Unreadable, match="not part of this package"):
        sandbox.ask(f"{module}:system", {})


def test_a_mistake_of_a_function_is_said_of_what_it_read(sandbox: Sandbox) -> None:
    with pytest.raises(Unreadable, match="KeyError: 'module'"):
        sandbox.ask(f"{_CHILD}:load", {})
    with pytest.raises(Unreadable, match="AttributeError"):
        sandbox.ask(f"{_CHILD}:missing", {})
    # The same child goes on.
    assert len(sandbox._all) == 1
