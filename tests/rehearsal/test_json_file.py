"""JSON files that somebody names: pipes, folders, devices."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from attested_publish.rehearsal.json_file import JsonFileError, read_text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")


@pytest.mark.timeout(60)
def test_a_pipe_that_somebody_writes_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # It has a reader from the beginning, so that the writer need not wait for one.
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = pipe.open("wb")
    os.close(reader)
    timer = threading.Timer(0.3, lambda: (writer.write(b"{}"), writer.close()))
    timer.start()
    assert read_text(pipe, "registry") == b"{}"


@pytest.mark.parametrize("path", ["folder", "missing"])
def test_what_is_no_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(JsonFileError, match="cannot be read"):
        read_text(tmp_path / path, "registry")
