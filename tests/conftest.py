from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from pathlib import Path

import pytest

# Before any of it is imported: so that its asserts say what they compared, too.
pytest.register_assert_rewrite("support")

from support.environment import forget_settings_of_git  # noqa: E402

forget_settings_of_git()
# Whoever wants colors in their own terminal or job: the tests expect plain text.
for _name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)


def _can_run_programs(folder: str) -> bool:
    """Whether it is there, can be written to, and is not mounted `noexec`."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            Path(file.name).chmod(0o700)
            return os.access(file.name, os.X_OK)
    except OSError:
        return False


def _use_a_temporary_folder_that_can_run_programs() -> None:
    """Tests put programs such as `gh` in temporary folders, which some machines mount `noexec`."""
    own = tempfile.gettempdir()
    for folder in (own, "/var/tmp", "/dev/shm"):
        if _can_run_programs(folder):
            if folder != own:
                os.environ["TMPDIR"] = tempfile.tempdir = folder
            return


_use_a_temporary_folder_that_can_run_programs()

pytest_plugins = ["support.fixtures"]


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_what_is_started() -> None:
    """Where these tests run with `nohup` or in the background of a script, signals are ignored.

    What is started inherits that, but not a handler.
    """
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: two for each core, as the tests wait a good part of their time."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all but the first rows of a table of which a sample is enough as slow."""
    rows: Counter[str] = Counter()
    for item in items:
        sample = item.get_closest_marker("sample")
        if sample is None:
            continue
        table = item.nodeid.partition("[")[0]
        rows[table] += 1
        if rows[table] > sample.args[0]:
            item.add_marker(pytest.mark.slow)
