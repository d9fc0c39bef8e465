"""What is at a path is exchanged while it is copied: a sentence, in time, and no other bytes."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from attested_publish.distributions import copy_privately, find
from attested_publish.distributions.copying import _private_copy
from attested_publish.problems import FilesProblem
from support.makers import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and pipes are others there")

SECONDS = 2.0
SECRET = b"what stands outside"


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    """A folder in `dist`, with a wheel; beside `dist` is a folder with a secret of that name."""
    made = make_wheel(tmp_path / "dist" / "inner")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / made.name).write_bytes(SECRET)
    return made.parent


def the_wheel(inner: Path) -> Path:
    return inner / "sample-1.0-py3-none-any.whl"


def a_link_out(inner: Path) -> None:
    replace(the_wheel(inner), lambda path: path.symlink_to(secret_of(inner)))


def a_relative_link_out(inner: Path) -> None:
    target = f"../../outside/{the_wheel(inner).name}"
    replace(the_wheel(inner), lambda path: path.symlink_to(target))


def a_link_to_itself(inner: Path) -> None:
    replace(the_wheel(inner), lambda path: path.symlink_to(the_wheel(inner)))


def a_link_to_a_device(inner: Path) -> None:
    replace(the_wheel(inner), lambda path: path.symlink_to("/dev/zero"))


def a_device(inner: Path) -> None:
    def make(path: Path) -> None:
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes devices")

    replace(the_wheel(inner), make)


def a_pipe(inner: Path) -> None:
    replace(the_wheel(inner), os.mkfifo)


def a_folder(inner: Path) -> None:
    the_wheel(inner).unlink()
    the_wheel(inner).mkdir()


def nothing(inner: Path) -> None:
    the_wheel(inner).unlink()


def the_folder_a_link_out(inner: Path) -> None:
    inner.rename(inner.with_name("moved"))
    inner.symlink_to(secret_of(inner).parent)


def the_folder_a_file(inner: Path) -> None:
    inner.rename(inner.with_name("moved"))
    inner.touch()


def replace(path: Path, make: Callable[[Path], None]) -> None:
    """Put something else in the place of `path`, at once."""
    beside = path.with_name("made")
    make(beside)
    beside.replace(path)


def secret_of(inner: Path) -> Path:
    return inner.parent.parent / "outside" / the_wheel(inner).name


@pytest.mark.parametrize(
    ("exchange", "why"),
    [
        (a_link_out, "it points outside its folder"),
        (a_relative_link_out, "it points outside its folder"),
        (a_link_to_itself, ""),
        (a_link_to_a_device, "it points outside its folder"),
        (a_device, "it is not a regular file"),
        (a_pipe, "it is not a regular file"),
        (a_folder, "Is a directory"),
        (nothing, "No such file"),
        (the_folder_a_link_out, "it points outside its folder"),
        (the_folder_a_file, "Not a directory"),
    ],
)
def test_what_is_exchanged_after_it_was_found_is_not_copied(
    inner: Path, tmp_path: Path, exchange: Callable[[Path], None], why: str
) -> None:
    (source,), _ = find([inner.parent])
    exchange(inner)
    copies = tmp_path / "copies"
    copies.mkdir()
    started = time.monotonic()
    with pytest.raises(FilesProblem) as caught:
        _private_copy(source, [inner.parent], copies, lambda _: False)
    assert time.monotonic() - started < SECONDS
    assert why in caught.value.detail
    assert source.name in caught.value.title
    assert not any(copy.read_bytes() == SECRET for copy in copies.iterdir())


@contextlib.contextmanager
def meanwhile(do: Callable[[], None]) -> Iterator[None]:
    """Do something over and over until the end of the block."""
    is_over = threading.Event()

    def again() -> None:
        while not is_over.is_set():
            do()

    doing = threading.Thread(target=again)
    doing.start()
    try:
        yield
    finally:
        is_over.set()
        doing.join()


def outcomes(dist: Path, right: bytes) -> set[str]:
    """Stage for a while; hold each time that it is right, or a sentence, and soon over."""
    found = set()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        started = time.monotonic()
        try:
            with copy_privately([dist]) as staged:
                for each in staged.distributions:
                    assert each.path.read_bytes() == right
                found.add("copied")
        except FilesProblem as problem:
            found.add(problem.detail)
        assert time.monotonic() - started < SECONDS
    assert all(line.isprintable() for told in found for line in told.splitlines())
    return found


def there_and_back(path: Path, make: Callable[[Path], None]) -> Callable[[], None]:
    """Exchange what is at `path` for what `make` makes, and exchange it back."""
    other, aside = path.with_name("made"), path.with_name("aside")
    make(other)

    def exchange() -> None:
        path.rename(aside)
        other.rename(path)
        path.rename(other)
        aside.rename(path)

    return exchange


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.symlink_to("../../outside/sample-1.0-py3-none-any.whl"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), marks=pytest.mark.slow),
        pytest.param(lambda path: path.symlink_to(path.parent), marks=pytest.mark.slow),
        pytest.param(lambda path: path.mkdir(), marks=pytest.mark.slow),
    ],
    ids=["a pipe", "a link out", "a device", "a link to its folder", "a folder"],
)
def test_a_file_that_is_exchanged_again_and_again(inner: Path, make: Callable) -> None:
    path = the_wheel(inner)
    right = path.read_bytes()
    with meanwhile(there_and_back(path, make)):
        assert outcomes(inner.parent, right)
    assert outcomes(inner.parent, right) >= {"copied"}


def test_a_folder_that_is_exchanged_again_and_again(inner: Path) -> None:
    right = the_wheel(inner).read_bytes()
    exchange = there_and_back(inner, lambda path: path.symlink_to(secret_of(inner).parent))
    with meanwhile(exchange):
        assert outcomes(inner.parent, right)


def test_a_file_that_grows_is_copied_as_it_was_or_not_at_all(inner: Path, tmp_path: Path) -> None:
    path = the_wheel(inner)
    start = path.read_bytes()

    def grow() -> None:
        with path.open("ab") as file:
            file.write(bytes(1 << 16))
            if file.tell() > 50 << 20:
                file.truncate(len(start))

    found = set()
    with meanwhile(grow):
        for _ in range(10):
            started = time.monotonic()
            try:
                with copy_privately([inner.parent]) as staged:
                    (only,) = staged.distributions
                    content = only.path.read_bytes()
                    assert len(content) == only.size
                    assert content.startswith(start)
                    found.add("copied")
            except FilesProblem as problem:
                found.add(problem.title)
            assert time.monotonic() - started < SECONDS
    assert found <= {"copied", f"{path.name} changed while it was read"}


def test_a_file_that_changed_its_size_is_told(inner: Path, tmp_path: Path) -> None:
    """It has another size by the time that its last byte is read."""
    source = the_wheel(inner)
    for change in (source.stat().st_size + 1, source.stat().st_size - 1):

        def look(_size: int, to: int = change) -> bool:
            # Called with the size, before the first byte is copied.
            os.truncate(source, to)
            return False

        copies = tmp_path / f"copies-{change}"
        copies.mkdir()
        with pytest.raises(FilesProblem, match="changed while it was read"):
            _private_copy(source, [inner.parent], copies, look)
