"""What is not small is read in a child: with the same result, and within time and memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from attested_publish.consumer.locks import LockError, parse_lock, read_lock, writing
from attested_publish.consumer.locks.bounded import MOST_HERE, lock_in, read_policy
from attested_publish.consumer.locks.entries import MOST_INDEXES
from attested_publish.consumer.locks.expectations import parse_policy
from attested_publish.consumer.locks.pinning import pinned
from attested_publish.consumer.locks.requirements import LARGEST
from attested_publish.consumer.locks.writing import write_identities
from support.command import command_line
from support.environment import without_a_job
from support.lock_files import MADE, lay_out, lock_paths
from support.measuring import watched
from support.waiting import wait_for

SHA256 = "0" * 64
LOCKS = [str(path) for path in lock_paths() if not path.name.startswith("included")]
POLICY = """\
[project.alpha]
kind = "GitHub"
repository = "octo-org/alpha"
environment = ""
since = "1.0"

[[project.alpha.exceptions]]
rule = "yanked"
reason = "It is known."
until = 2030-01-31

[[project.alpha.exceptions]]
rule = "yanked"

[project.beta]
email = "release@example.org"
"""
IDENTITY = {"kind": "GitHub", "repository": "octo-org/aperture", "workflow": "release.yml"}


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locks")
    lay_out(folder, 4242)
    return folder


def padded(content: bytes, name: str) -> bytes:
    """Return a lock that says the same and is too large for this process."""
    filler = b" " if name == "Pipfile.lock" else b"#"
    end = b"\r\n" if b"\r\n" in content else b"\n"
    return content.rstrip(b"\r\n") + end + (filler * 1000 + end) * (MOST_HERE // 1000 + 1)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: "/".join(Path(path).parts[-2:]))
def test_a_child_reads_what_this_process_reads(laid: Path, path: str) -> None:
    original = laid / Path(path).relative_to(MADE.parent)

    def beside(name: str) -> bytes | None:
        included = original.parent / name
        return included.read_bytes() if included.is_file() else None

    content = padded(original.read_bytes(), original.name)
    assert len(content) > MOST_HERE
    assert lock_in(content, str(original), beside=beside) == parse_lock(
        content, str(original), beside=beside
    )


def test_what_is_included_counts(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    line = f"alpha==1.0 --hash=sha256:{SHA256}\n"
    (tmp_path / "folder" / "more.txt").write_text("-r ../last.txt\n" + line)
    (tmp_path / "last.txt").write_bytes(padded(line.replace("alpha", "beta").encode(), "last.txt"))
    lock = tmp_path / "requirements.txt"
    lock.write_text("-r folder/more.txt\n")
    packages = read_lock(lock).packages
    assert {each.name for each in packages} == {"alpha", "beta"}
    assert {each.path for each in packages} == {
        str(tmp_path / "folder" / "more.txt"),
        str(tmp_path / "last.txt"),
    }
    (tmp_path / "last.txt").write_text("")
    lock.write_bytes(padded(b"-r folder/more.txt\n-r missing.txt\n", "requirements.txt"))
    with pytest.raises(LockError) as caught:
        read_lock(lock)
    assert caught.value.detail == "Line 2: It includes missing.txt, which could not be read."
    assert caught.value.line == 2


def test_no_more_is_read_of_what_is_included_than_counts() -> None:
    read: list[str] = []

    def beside(name: str) -> bytes:
        read.append(name)
        return b"#" * (20 << 20)

    lines = "".join(f"-r {number}.txt\n" for number in range(50))
    with pytest.raises(LockError) as caught:
        lock_in(lines.encode(), "requirements.txt", beside=beside)
    assert caught.value.detail == "Line 2: It includes files of more than 32 MiB."
    assert len(read) * (20 << 20) < 3 * LARGEST


def test_a_policy(tmp_path: Path) -> None:
    path = tmp_path / "publishers.toml"
    path.write_bytes(padded(POLICY.encode(), path.name))
    assert read_policy(path) == parse_policy(path.read_bytes(), str(path))
    assert read_policy(path).projects["alpha"].exceptions[0].until is not None


@pytest.mark.parametrize(
    ("name", "broken", "line", "says"),
    [
        ("uv.lock", b"version = 1\nx = [\n]]\n", 3, "It is not valid TOML"),
        ("Pipfile.lock", b"{\n]", 2, "It is not valid JSON"),
        ("requirements.txt", b"\nalpha beta\n", 2, "alpha beta is not a requirement"),
        ("uv.lock", b"version = 2\n", None, "newer uv"),
    ],
)
def test_what_is_wrong_has_its_line(name: str, broken: bytes, line: int | None, says: str) -> None:
    with pytest.raises(LockError) as caught:
        lock_in(padded(broken, name), name)
    assert says in caught.value.detail
    assert caught.value.line == line
    assert caught.value.file == name
    assert caught.value.remedy


def test_a_policy_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "publishers.toml"
    path.write_bytes(padded(b'[project.alpha]\nkind = "Else"\n', path.name))
    with pytest.raises(LockError) as caught:
        read_policy(path)
    assert (caught.value.line, "is none of" in caught.value.detail) == (1, True)


@pytest.mark.parametrize("name", ["pylock.toml", "publishers.toml"])
def test_a_child_writes_what_this_process_writes(laid: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "pylock.toml":
        before = (laid / "made/uv-export/pylock.toml").read_bytes()
    else:
        before = POLICY.encode()
    path.write_bytes(padded(before, name))
    expected = pinned(path.read_text(), path, {"aperture": [IDENTITY]})
    assert expected is not None
    assert "octo-org/aperture" in expected
    assert path.stat().st_size > writing.MOST_HERE
    assert write_identities(path, {"aperture": [IDENTITY]})
    assert path.read_text() == expected
    assert not write_identities(path, {"aperture": [IDENTITY]})


def test_more_than_an_answer_can_say() -> None:
    """Each of these characters takes six bytes of JSON and two of the lock."""
    entries = {"alpha": {"version": "==" + "é" * 6_000_000}}
    lock = json.dumps({"_meta": {"pipfile-spec": 6}, "default": entries}, ensure_ascii=False)
    with pytest.raises(LockError) as caught:
        lock_in(lock.encode(), "Pipfile.lock")
    assert caught.value.detail.startswith("It could not be read: ")
    assert "more than 32 MiB" in caught.value.detail


def test_indexes_are_bounded() -> None:
    """Each package may come from any of the indexes, and is compared with all of them."""
    indexes = [f"https://{number}.example/simple" for number in range(MOST_INDEXES + 1)]
    lines = "".join(f"--extra-index-url {each}\n" for each in indexes)
    sources = [{"name": each, "url": each} for each in indexes]
    pipfile = json.dumps({"_meta": {"pipfile-spec": 6, "sources": sources}, "default": {}})
    for name, text in (("requirements.txt", lines), ("Pipfile.lock", pipfile)):
        with pytest.raises(LockError, match="cannot be used") as caught:
            parse_lock(text.encode(), name)
        assert "101 indexes" in caught.value.detail


@pytest.mark.slow
def test_what_is_not_compared_counts_too() -> None:
    head = 'version = 1\n[[package]]\nname = "alpha"\nversion = "1"\n'
    wheels = ",".join(f'{{url="https://x/{number}"}}' for number in range(200_001))
    with pytest.raises(LockError) as caught:
        lock_in(f'{head}source={{registry="https://x"}}\nwheels=[{wheels}]'.encode(), "uv.lock")
    assert "hashes; at most 200,000" in caught.value.detail


HOSTILE = {
    "arrays": ("uv.lock", "version = 1\nx = [" + "[]," * (10 << 20) + "]"),
    "tables": ("uv.lock", "version = 1\n" + "".join(f"[t{n}]\n" for n in range(1_900_000))),
    "numbers": ("uv.lock", "version = 1\nx = [" + "1," * (15 << 20) + "]"),
    "packages": ("uv.lock", "version = 1\n" + '[[package]]\nname="a"\n' * 900_000),
    "a wide character": ("uv.lock", 'version = 1\nx = "\U0001f600' + "a" * (31 << 20) + '"'),
    "an unknown format": ("lock", "version = 1\nx = [" + "{}," * (10 << 20) + "]"),
    "JSON": (
        "Pipfile.lock",
        '{"_meta": {"pipfile-spec": 6}, "x": {'
        + ",".join(f'"k{number}":{{}}' for number in range(1_900_000))
        + "}}",
    ),
    "requirements": ("requirements.txt", f"a==1 --hash=sha256:{SHA256}\n" * 350_000),
    "a policy": ("publishers.toml", "".join(f"[t{n}]\n" for n in range(400_000))),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not limit memory")
@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_the_command_ends_with_a_sentence(tmp_path: Path, kind: str) -> None:
    name, text = HOSTILE[kind]
    path = tmp_path / name
    path.write_text(text)
    report = tmp_path / "report.json"
    if kind == "a policy":
        lock = tmp_path / "requirements.txt"
        lock.write_text("")
        given = ["--lock", lock, "--policy", path]
    else:
        given = ["--lock", path, "--against", path]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = watched(
        [*command_line("verify", *given, "--report", report)],
        environment={**without_a_job(), "TMPDIR": str(temporary)},
        timeout=150,
    )
    assert done.status == 1, done.output
    assert "Traceback" not in done.output
    # Two files, with 15 seconds of a processor that is all theirs.
    assert done.seconds < 70
    assert done.megabytes < 500
    problems = json.loads(report.read_text())["problems"]
    for problem in problems:
        assert problem["title"].endswith("cannot be used")
        assert problem["detail"].count(". ") == 0
    assert len(problems) == 2
    assert list(temporary.iterdir()) == []


def test_stopped_while_a_child_reads_it_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "uv.lock"
    path.write_text(HOSTILE["numbers"][1])
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        command_line("verify", "--lock", path),
        env={**without_a_job(), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for(lambda: list(temporary.glob("*/0")))
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1, printed
    assert "received SIGTERM" in printed
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_without_room_for_a_copy_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(gone))
    shutil.rmtree(gone)
    with pytest.raises(LockError) as caught:
        lock_in(padded(b"version = 1\n", "uv.lock"), "uv.lock")
    assert caught.value.detail == "There is no room to copy it: No such file or directory."
