from __future__ import annotations

import os

import pytest

# Before any of it is imported: so that its asserts say what they compared, too.
pytest.register_assert_rewrite("support")

pytest_plugins = ["support.fixtures"]


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one more than there are cores, as the tests wait a third of their time."""
    return (os.cpu_count() or 1) + 1
