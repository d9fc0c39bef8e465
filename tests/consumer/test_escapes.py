"""What could get past a comparison: other hashes, no hash, other sources, one file of a release."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from attested_publish.consumer.locks.model import LockError
from attested_publish.consumer.locks.reading import parse_lock
from support.dependencies import Releases, pylock, requirements
from support.filled import Filled, filled_world, rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("own_cache")

SHA512 = f"sha512:{'e' * 128}"
POLICY = '[project.amber]\nrepository = "octo-org/amber"\n'


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    releases.publish("amber", "1.0", "octo-org/amber")
    releases.publish("amber", "1.1", "evil-org/amber")
    releases.publish("plain", "1.0", attested=False)
    releases.publish("cedar", "1.0", tags=("cp311-cp311-win32", "py3-none-any"))
    releases.publish("cedar", "1.1", tags=("cp311-cp311-win32",))
    releases.publish("cedar", "1.1", attested=False)
    releases.publish("mixed", "1.0", tags=("cp311-cp311-win32",))
    releases.publish("mixed", "1.0", attested=False)
    releases.publish("mixed", "1.1", tags=("cp311-cp311-win32",))
    releases.publish("mixed", "1.1", attested=False)


def found(filled: Filled, folder: Path, lock: str, *options: str, **texts: str) -> set[str]:
    """Verify requirements; return the rules of what was found, but no notices."""
    path = folder / "requirements.txt"
    path.write_text(lock)
    status, report = filled.verify(folder, "--lock", path, *options, **texts)
    (package,) = report["packages"]
    grave = {each["rule"] for each in package["findings"] if each["severity"] != "notice"}
    assert status == (1 if grave else 0)
    return grave


def wheel(filled: Filled, name: str, version: str, tag: str = "py3-none-any") -> str:
    """Return the requirement of one file of a release."""
    files = {file: each for file, each in filled.of(name, version)[2].items() if tag in file}
    return requirements([(name, version, files)])


def old_lock(filled: Filled, folder: Path, name: str = "amber") -> list[str]:
    path = folder / "old.txt"
    path.write_text(requirements([filled.of(name, "1.0")]))
    return ["--against", str(path)]


def test_a_hash_of_another_algorithm_beside_the_right_one(filled: Filled, tmp_path: Path) -> None:
    """An installer takes what has either."""
    lock = f"{wheel(filled, 'amber', '1.0').strip()} --hash={SHA512}\n"
    assert found(filled, tmp_path, lock) == {"hash-not-served"}
    lock = f"{wheel(filled, 'plain', '1.0').strip()} --hash={SHA512}\n"
    assert found(filled, tmp_path, lock) == {"hash-not-served"}


def test_the_same_in_a_pylock(filled: Filled, tmp_path: Path) -> None:
    text = pylock([filled.of("amber", "1.0")])
    digest = next(iter(filled.of("amber", "1.0")[2].values()))
    assert text.count(f'sha256 = "{digest}"') == 1
    both = text.replace(f'sha256 = "{digest}"', f'sha256 = "{digest}", sha512 = "{"e" * 128}"')
    status, report = filled.verify(tmp_path, lock=both, policy=POLICY)
    assert status == 1
    assert rules(report)["amber"] == {"hash-not-served", "publisher-unexpected"}
    twice = text.replace(f'sha256 = "{digest}"', f'sha256 = "{"e" * 64}", SHA256 = "{digest}"')
    with pytest.raises(LockError, match="cannot be used") as caught:
        parse_lock(twice.encode(), "pylock.toml")
    assert "two hashes of one algorithm" in caught.value.detail


@pytest.mark.parametrize(
    "lock",
    [
        f"amber==1.1 --hash={SHA512}\n",
        "amber==1.1\n",
        "amber @ git+https://github.com/evil-org/amber@0123456789abcdef0123456789abcdef01234567\n",
        "amber @ https://evil.example/amber-1.0-py3-none-any.whl\n",
        "amber @ file:///tmp/amber-1.0-py3-none-any.whl\n",
    ],
)
def test_what_cannot_be_compared_has_to_be_attested_where_it_was(
    filled: Filled, tmp_path: Path, lock: str
) -> None:
    assert "provenance-lost" not in found(filled, tmp_path, lock)
    (tmp_path / "publishers.toml").write_text(POLICY)
    policy = ["--policy", str(tmp_path / "publishers.toml")]
    before = old_lock(filled, tmp_path)
    assert "publisher-unexpected" in found(filled, tmp_path, lock, *policy)
    assert "publisher-unexpected" in found(filled, tmp_path, lock, *policy, *before)
    assert "provenance-lost" in found(filled, tmp_path, lock, *before)
    # Where it has always been so, or nobody has attested it, there is nothing to lose.
    (tmp_path / "same.txt").write_text(lock)
    same = ["--against", str(tmp_path / "same.txt")]
    assert "provenance-lost" not in found(filled, tmp_path, lock, *same)
    unattested = lock.replace("amber", "plain").replace("1.1", "1.0")
    assert found(filled, tmp_path, unattested, *old_lock(filled, tmp_path, "plain")) == set()


def test_an_exception_covers_it(filled: Filled, tmp_path: Path) -> None:
    policy = (
        "[[project.amber.exceptions]]\n"
        'rule = "provenance-lost"\nreason = "our fork"\nuntil = 2199-01-01\n'
    )
    (tmp_path / "publishers.toml").write_text(policy)
    options = ["--policy", str(tmp_path / "publishers.toml"), *old_lock(filled, tmp_path)]
    lock = "amber @ git+https://github.com/octo-org/amber@main\n"
    assert found(filled, tmp_path, lock, *options) == set()


def test_a_file_of_a_uv_lock_without_a_hash(filled: Filled, tmp_path: Path) -> None:
    digest = next(iter(filled.of("amber", "1.0")[2].values()))
    path = tmp_path / "uv.lock"
    path.write_text(
        'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "amber"\nversion = "1.0"\n'
        f'source = {{ registry = "{filled.index_url}" }}\nwheels = [\n'
        f'    {{ url = "amber-1.0-py3-none-any.whl", hash = "sha256:{digest}" }},\n'
        '    { url = "http://evil.example/amber-1.0-cp311-cp311-win32.whl" },\n]\n'
    )
    status, report = filled.verify(tmp_path, "--lock", path)
    assert status == 0
    assert rules(report)["amber"] == {"not-checkable"}
    status, report = filled.verify(tmp_path, "--lock", path, policy=POLICY)
    assert status == 1
    assert "publisher-unexpected" in rules(report)["amber"]
    status, report = filled.verify(tmp_path, "--lock", path, *old_lock(filled, tmp_path))
    assert status == 1
    assert "provenance-lost" in rules(report)["amber"]


def test_one_unattested_file_of_an_attested_release(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has a stolen token adds a file, and leaves the others alone."""
    lock = wheel(filled, "cedar", "1.1")
    assert found(filled, tmp_path, lock) == {"provenance-lost"}
    assert found(filled, tmp_path, lock, *old_lock(filled, tmp_path, "cedar")) == {
        "provenance-lost"
    }
    same = tmp_path / "same.txt"
    same.write_text(wheel(filled, "cedar", "1.1", "win32"))
    assert found(filled, tmp_path, lock, "--against", str(same)) == {"provenance-lost"}
    # Beside an attested file it is none by the rule; but it is named.
    capsys.readouterr()
    assert found(filled, tmp_path, requirements([filled.of("cedar", "1.1")])) == set()
    assert "cedar-1.1-py3-none-any.whl" in capsys.readouterr().out


def test_a_project_that_never_attested_that_file(filled: Filled, tmp_path: Path) -> None:
    assert found(filled, tmp_path, wheel(filled, "mixed", "1.1")) == set()
    before = tmp_path / "before.txt"
    before.write_text(wheel(filled, "mixed", "1.0"))
    options = ["--against", str(before)]
    assert found(filled, tmp_path, wheel(filled, "mixed", "1.1"), *options) == set()


def test_what_is_no_longer_from_the_index_is_shown_as_a_loss(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = "amber @ git+https://github.com/evil-org/amber@main\n"
    found(filled, tmp_path, lock, *old_lock(filled, tmp_path))
    printed = capsys.readouterr().out
    assert "amber 1.0 → git, attestation lost: GitHub octo-org/amber" in printed


@pytest.mark.parametrize(
    "option",
    [
        "--index-url https://good.example/simple",
        "-i https://good.example/simple",
        "--extra-index-url https://good.example/simple",
        "--no-index",
        "--find-links https://good.example/",
        "-r other.txt",
        "-c other.txt",
    ],
)
def test_options_of_a_file_beside_a_requirement(option: str) -> None:
    """pip overlooks them, so that they must not change what is verified; uv refuses them."""
    for requirement in (f"amber==1.0 --hash=sha256:{'a' * 64}", "-e ./amber"):
        with pytest.raises(LockError) as caught:
            parse_lock(f"{requirement} {option}\n".encode(), "requirements.txt")
        assert "needs a line of its own" in caught.value.detail


def test_pip_overlooks_an_index_beside_a_requirement(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("amber==1.0 --index-url http://127.0.0.1:9/beside/\n")
    command = [sys.executable, "-m", "pip", "download", "--isolated", "--no-deps", "--retries=0"]
    index = ["--index-url", "http://127.0.0.1:9/own/"]
    done = subprocess.run(
        [*command, *index, "-v", "-d", tmp_path, "-r", lock],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "http://127.0.0.1:9/own/" in done.stdout
    assert "/beside/" not in done.stdout


def test_an_environment_that_is_expected_to_be_empty(filled: Filled, tmp_path: Path) -> None:
    policy = '[project.amber]\nrepository = "octo-org/amber"\nenvironment = ""\n'
    status, report = filled.verify(
        tmp_path, lock=pylock([filled.of("amber", "1.0")]), policy=policy
    )
    assert (status, rules(report)["amber"]) == (0, set())
