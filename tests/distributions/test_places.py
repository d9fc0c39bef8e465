"""Files that were named one by one, as a shell makes them of `dist/*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.distributions.finding import roots

if TYPE_CHECKING:
    from pathlib import Path


def test_each_folder_counts_once(tmp_path: Path) -> None:
    """Each file is compared with all of these when it is opened."""
    files = [tmp_path / f"{number}.whl" for number in range(1000)]
    for file in files:
        file.touch()
    more = tmp_path / "more"
    more.mkdir()
    assert roots([*files, tmp_path, tmp_path / "*.whl", more]) == [tmp_path, more]
