"""Bad locks: one sentence, no crash, and time in proportion to what is there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from attested_publish.consumer.locks import LockError, parse_lock, read_lock
from attested_publish.consumer.locks.reading import MOST_BYTES

NAMES = ("pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt")
HEADS = {
    "pylock.toml": 'lock-version = "1.0"\ncreated-by = "x"\n',
    "uv.lock": "version = 1\n",
    "poetry.lock": '[metadata]\nlock-version = "2.1"\n',
    "pdm.lock": '[metadata]\nlock_version = "4.5.0"\n',
    "Pipfile.lock": '{"_meta": {"pipfile-spec": 6, "sources": []}, "default": {}}\n',
    "requirements.txt": "# none\n",
}
SECRET = "secret"


def refused(content: bytes, name: str, **options: object) -> LockError:
    started = time.process_time()
    with pytest.raises(LockError) as caught:
        parse_lock(content, name, **options)  # type: ignore[arg-type]
    assert time.process_time() - started < 20
    error = caught.value
    assert error.detail.endswith(".")
    assert "\n" not in error.detail
    assert len(error.detail) < 700
    assert error.detail.isprintable()
    assert error.file == name
    return error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"\n \r\n\t", b"\xef\xbb\xbf"], ids=repr)
def test_an_empty_file_is_a_broken_lock(name: str, content: bytes):
    assert refused(content, name).detail == "It is empty."


@pytest.mark.parametrize("name", [*NAMES, "anything"])
@pytest.mark.parametrize(
    "content",
    [
        b"\0",
        b"a\0b" * 100,
        b"\xff\xfe\xfd" * 9,
        "# Grüße\n".encode("latin-1"),
        b"<html>\n<title>404</title>",
        b"\x7fELF",
        b"PK\x03\x04" + bytes(100),
        b"<<<<<<< HEAD\n=======\n>>>>>>> other\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_no_lock_at_all(name: str, content: bytes):
    refused(content, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_of_50_megabytes(name: str):
    content = HEADS[name].encode() + b"# " + b"x" * 50_000_000
    assert refused(content, name).detail == "It is larger than 32 MiB."


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pylock.toml", 'lock-version = "2.0"\ncreated-by = "x"\npackages = []', "newer tool"),
        ("uv.lock", "version = 2\n", "newer uv"),
        ("poetry.lock", '[metadata]\nlock-version = "3.0"\n', "newer Poetry"),
        ("pdm.lock", '[metadata]\nlock_version = "4.6.0"\n', "newer PDM"),
        ("pdm.lock", '[metadata]\nlock_version = "5.0"\n', "newer PDM"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 7}}', "newer Pipenv"),
        ("pylock.toml", 'created-by = "x"\npackages = []', "lock-version is missing or empty"),
        ("uv.lock", "[[package]]\nname = 'a'\n", "version is missing"),
        ("poetry.lock", "package = []\n", "metadata.lock-version is missing"),
        ("pdm.lock", "package = []\n", "metadata.lock_version is missing"),
        ("Pipfile.lock", "{}", "_meta.pipfile-spec is missing"),
        ("uv.lock", 'version = "1"\n', "version is text, not a number"),
        ("uv.lock", "version = true\n", "version is true or false, not a number"),
        ("poetry.lock", '[metadata]\nlock-version = "x"\n', "x is not the version of a format"),
        ("poetry.lock", "metadata = 1\n", "metadata is a number, not a table"),
    ],
)
def test_of_another_version(name: str, content: str, says: str):
    assert says in refused(content.encode(), name).detail


PACKAGE = {
    "pylock.toml": '[[packages]]\nname = "a"\nversion = "1"\n{}\n',
    "uv.lock": '[[package]]\nname = "a"\nversion = "1"\n{}\n',
    "poetry.lock": '[[package]]\nname = "a"\nversion = "1"\n{}\n',
}


@pytest.mark.parametrize(
    ("name", "entry", "says"),
    [
        ("pylock.toml", "sdist = 1", "in packages[0].sdist"),
        ("pylock.toml", 'sdist = { name = "b-1.tar.gz", path = "b", hashes = { sha256 = "0" } }',
         "packages[0].sdist"),
        ("pylock.toml", 'sdist = { name = "a-1.tar.gz", path = "b", hashes = { sha256 = "0" } }',
         "0 is not a SHA-256 hash"),
        ("pylock.toml", 'sdist = { name = "a-1.tar.gz", path = "b", hashes = {} }', "hash"),
        ("pylock.toml",
         'sdist = { name = "a-1.tar.gz", path = "b", hashes = { sha256 = "' + "0" * 64 + '" } }\n'
         '[[packages.attestation-identities]]\nkind = "GitHub"\nrepository = 1\n',
         "packages[0].attestation-identities[0].repository is a number, not text"),
        ("uv.lock", "", "package[0].source.registry is missing"),
        ("uv.lock", 'source = { registry = "https://x/" }\nwheels = [1]',
         "package[0].wheels[0] is a number, not a table"),
        ("uv.lock", 'source = { registry = "https://x/" }\nwheels = 1', "a number, not an array"),
        ("uv.lock", 'source = { registry = 1 }', "package[0].source.registry is a number"),
        ("poetry.lock", "files = [{ file = 1 }]", "package[0].files[0].file is a number, not text"),
        ("poetry.lock", 'source = { type = "magic" }', "package[0].source.type is none"),
        ("poetry.lock", 'files = [{ file = "a", hash = "sha256:xyz" }]', "is not a SHA-256 hash"),
    ],
)  # fmt: skip
def test_an_error_names_the_path_to_it(name: str, entry: str, says: str):
    text = PACKAGE[name].format(entry)
    text = text + HEADS[name] if name == "poetry.lock" else HEADS[name] + text
    assert says in refused(text.encode(), name).detail


@pytest.mark.parametrize("name", ["a/b", "a b", "r\u0435quests", "\u202ea", "", "-a", "a" * 10_000])
def test_a_name_that_is_none(name: str):
    entry = f'[[package]]\nname = {json.dumps(name)}\nsource = {{ registry = "https://x" }}\n'
    text = f"version = 1\n{entry}"
    refused(text.encode(), "uv.lock")
    if name:
        text = json.dumps({"_meta": {"pipfile-spec": 6}, "default": {name: {}}})
        refused(text.encode(), "Pipfile.lock")


NESTED = 200_000
PYLOCKED = HEADS["pylock.toml"] + '[[packages]]\nname="a"\n'


@pytest.mark.sample(8)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("uv.lock", "a = " + "[" * NESTED),
        ("uv.lock", "a = " + "{b=" * NESTED),
        ("uv.lock", "a" + ".a" * NESTED + " = 1"),
        ("uv.lock", "[a" + ".a" * NESTED + "]"),
        ("uv.lock", "\n".join(f"b{number}{'.a' * 1500}=1" for number in range(5000))),
        ("uv.lock", 'a = "' + "\\" * NESTED),
        ("uv.lock", "a = " + "9" * 1_000_000),
        ("uv.lock", "a = 1e" + "9" * 100_000),
        ("uv.lock", 'a = """' + '""\\' * NESTED),
        ("uv.lock", "a = 9999-99-99"),
        ("uv.lock", "a = 1\n" * 100_000),
        ("Pipfile.lock", "[" * NESTED),
        ("Pipfile.lock", '{"a":' * NESTED),
        ("Pipfile.lock", '{"a":' + "9" * 1_000_000 + "}"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 1e999}}'),
        ("Pipfile.lock", '{"_meta": {}, "_meta": {}}'),
        ("Pipfile.lock", "[]"),
        ("requirements.txt", "a==1 " + "--hash=sha256:0 " * NESTED),
        ("requirements.txt", "a==1; " + "(" * NESTED),
        ("requirements.txt", "a" + "[" * NESTED),
        ("requirements.txt", "a==1 --hash='" + "x" * NESTED),
        ("requirements.txt", "a==1 --hash='" + "\"''\"" * NESTED),
        ("requirements.txt", "a\\\n" * NESTED),
        ("requirements.txt", " # " * NESTED + "x\n" + "-x"),
        ("requirements.txt", " " * 1_000_000 + "x y"),
        ("requirements.txt", "a" + " " * 1_000_000 + "b"),
        ("requirements.txt", "a==" + "1." * NESTED + "x!"),
        ("requirements.txt", "-" + "r" * NESTED),
        ("requirements.txt", "a" + " " * NESTED + "x#"),
        ("requirements.txt", "a" + ">1," * NESTED),
        ("requirements.txt", "a==1\n" * NESTED),
        ("requirements.txt", "--pre\n" * NESTED),
        ("requirements.txt", "\n" * 3_000_000 + "a==1"),
        ("pylock.toml", "\n".join(f"b{each}{'.b' * 30}=1" for each in range(40_000)) + "\n[c]"),
        ("pylock.toml", "\n" * 3_000_000 + PYLOCKED),
        ("pylock.toml", PYLOCKED + 'marker="' + "(" * NESTED + '"'),
        ("pylock.toml", PYLOCKED + 'version="' + "1." * NESTED + '"'),
    ],
    ids=lambda value: repr(value[:25]),
)  # fmt: skip
def test_what_takes_others_long(name: str, content: str):
    started = time.process_time()
    refused(content.encode(), name)
    assert time.process_time() - started < 5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_packages_are_read_and_no_more(name: str):
    digest = "sha256:" + "0" * 64
    hashed = f'hash = "{digest}" }}}}'
    toml = 'name = "p{0}"\nversion = "1"\n'
    listed = f'[[package]]\n{toml}files = [{{{{ file = "p-1.tar.gz", {hashed}]\n'
    entries = {
        "pylock.toml": f'[[packages]]\n{toml}sdist = {{{{ url = "https://x/p{{0}}-1.tar.gz", '
        f'hashes = {{{{ sha256 = "{"0" * 64}" }}}} }}}}\n',
        "uv.lock": f'[[package]]\n{toml}source = {{{{ registry = "https://x" }}}}\n'
        f'sdist = {{{{ url = "https://x/p-1.tar.gz", {hashed}\n',
        "poetry.lock": listed,
        "pdm.lock": listed,
        "requirements.txt": f"p{{0}}==1 --hash={digest}\n",
    }

    def lock(count: int) -> bytes:
        if name == "Pipfile.lock":
            default = {f"p{each}": {"version": "==1", "hashes": [digest]} for each in range(count)}
            document = {"_meta": {"pipfile-spec": 6, "sources": []}, "default": default}
            return json.dumps(document, indent=4).encode()
        text = "".join(map(entries[name].format, range(count)))
        return (
            text + HEADS[name] if name in {"poetry.lock", "pdm.lock"} else HEADS[name] + text
        ).encode()

    started = time.process_time()
    packages = parse_lock(lock(2_500), name).packages
    quarter = time.process_time() - started
    assert len({each.line for each in packages}) == 2_500
    started = time.process_time()
    assert len(parse_lock(lock(10_000), name).packages) == 10_000
    assert time.process_time() - started < 8 * quarter + 1
    assert "It has 10,001 packages; at most 10,000" in refused(lock(10_001), name).detail


def files(**others: str) -> dict[str, bytes]:
    return {name.replace("__", "/") + ".txt": text.encode() for name, text in others.items()}


@pytest.mark.parametrize(
    ("content", "others", "says"),
    [
        ("-r a.txt", files(a="-r b.txt", b="-r a.txt"), "which includes it"),
        ("-r requirements.txt", files(requirements="x==1"), "which includes it"),
        ("-r ../a.txt", files(a=""), "which is not below the lock's folder"),
        ("-r b/../../a.txt", files(a=""), "which is not below the lock's folder"),
        ("-r /etc/passwd", {}, "which is not below the lock's folder"),
        (r"-r '..\a.txt'", files(a=""), "below the lock's folder"),
        ("-r C:/a.txt", {}, "which is not below the lock's folder"),
        ("-r https://user:secret@example.org/a.txt", {}, "an address, https://example.org/a.txt"),
        ("-r missing.txt", {}, "which could not be read"),
        ("-r a.txt", files(a="b\0"), "Line 1 of a.txt: Line 1 contains U+0000"),
        ("-r a.txt", files(a="\n\nrequests requests"), "Line 3 of a.txt: requests requests is not"),
        ("-r a0.txt", {f"a{each}.txt": f"-r a{each + 1}.txt".encode() for each in range(99)},
         "more than 8 deep"),
        ("\n".join(f"-r a{each}.txt" for each in range(200)),
         {f"a{each}.txt": b"" for each in range(200)}, "more than 100 of them"),
        ("a==1\u2028b==2", {}, "Line 1 contains U+2028, which hides where lines end."),
        ("# a\rb==2", {}, "Line 1 contains U+000D, which hides where lines end."),
        ("# a\x0cb==2", {}, "Line 1 contains U+000C, which hides where lines end."),
        ("# coding: utf-7\n", {}, "It is declared as utf-7; only UTF-8 is read."),
        ("a==1 --nothing", {}, "Line 1: no such option: --nothing."),
        ("a==1 --hash=sha256:0", {}, "Line 1: 0 is not a SHA-256 hash."),
        ("a==1 --hash=sha256:" + "0" * 64 + " b==2", {}, "Line 1: b==2 is out of place."),
        ("a==1 --hash='x", {}, "Line 1: a quotation mark or backslash is left over."),
        ("requests==2.0 requests==2.1", {}, "is not a requirement"),
    ],
)  # fmt: skip
def test_requirements(content: str, others: dict[str, bytes], says: str):
    error = refused(content.encode(), "requirements.txt", beside=others.get)
    assert says in error.detail
    assert SECRET not in error.detail


def test_doubled_includes_are_read_once():
    """Each of 8 files includes the next one twice: 256 readings, if nobody counts."""
    others = {
        f"a{each}.txt": b"-r a%d.txt\n-r a%d.txt\n" % (each + 1, each + 1) for each in range(7)
    }
    read = []

    def beside(name: str) -> bytes | None:
        read.append(name)
        return {**others, "a7.txt": b"x==1\n"}.get(name)

    lock = parse_lock(b"-r a0.txt\n-r a0.txt\n", "requirements.txt", beside=beside)
    assert [each.name for each in lock.packages] == ["x"]
    assert len(read) == 8


def test_included_files_are_bounded_together():
    others = {f"a{each}.txt": b"#" * (20 << 20) for each in range(2)}
    error = refused(b"-r a0.txt\n-r a1.txt", "requirements.txt", beside=others.get)
    assert error.detail == "Line 2: It includes files of more than 32 MiB."


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("a==1 # b", "1"),
        ("a==1 \t# b # c", "1"),
        ("# a==2\na==1", "1"),
        ("a==1 \\\n # b", "1"),
        ("a==1;python_version>'3'#x", None),
        ("a @ https://example.org/a-1.zip#sha256=0", None),
    ],
)
def test_where_a_comment_starts(text: str, version: str | None):
    """As in pip: at the start of a line, or after white space."""
    try:
        (package,) = parse_lock(text.encode(), "requirements.txt").packages
    except LockError:
        assert version is None
    else:
        assert package.version == version


def test_files_that_are_none(tmp_path: Path):
    def why(path: Path) -> str:
        with pytest.raises(LockError) as caught:
            read_lock(path)
        return caught.value.detail

    assert why(tmp_path / "uv.lock") == "There is no such file."
    assert why(tmp_path) == "It could not be read: Is a directory."
    os.mkfifo(tmp_path / "poetry.lock")
    assert why(tmp_path / "poetry.lock") == "It is not a regular file."
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    assert "could not be read" in why(tmp_path / "loop.txt")
    assert why(Path("/dev/zero")) == "It is not a regular file."
    with (tmp_path / "pdm.lock").open("wb") as file:
        file.truncate(MOST_BYTES * 40)
    assert why(tmp_path / "pdm.lock") == "It is larger than 32 MiB."


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path):
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("x==1\n")
    (folder / "a.txt").symlink_to("../outside.txt")
    (folder / "requirements.txt").write_text("-r a.txt\n")
    with pytest.raises(LockError, match="cannot be used") as caught:
        read_lock(folder / "requirements.txt")
    assert "which could not be read" in caught.value.detail
    (folder / "a.txt").unlink()
    (folder / "a.txt").write_text("x==1\n")
    assert [each.name for each in read_lock(folder / "requirements.txt").packages] == ["x"]
