"""The embedded PyPI row by row: each refusal of its server alone, and their order (notes, 2 and 8).

The rows before the file (1 to 21) have tests of their own in test_uploads.py, those
about attestations (25 to 33) in test_attestations.py.
"""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import basic, serving, trusted_root
from support.makers import (
    make_commented_wheel,
    make_moved_sdist,
    make_piped_wheel,
    make_sdist,
    make_wheel,
    tar_file,
    tar_link,
    write_tar_gz,
)

INFO = "sample-1.0.dist-info"
BAD_ROLE = {"description": "Of :func:`x`.\n", "description_content_type": "text/x-rst"}


@pytest.fixture(scope="module")
def shared():
    """An index for uploads that are refused, which change nothing in it."""
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        yield client


def wheel(**how):
    return partial(make_wheel, **how)


def sdist(**how):
    return partial(make_sdist, **how)


def holding(name, content):
    return wheel(extra_files={name: content})


def changed(maker, change):
    def make(folder):
        path = maker(folder)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def zip_bytes():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("a", b"")
    return archive.getvalue()


def sparse():
    member = tarfile.TarInfo("sample-1.0/hole.bin")
    member.type = tarfile.GNUTYPE_SPARSE
    return member, b""


def lone_metadata(folder):
    return write_tar_gz(
        folder / "sample-1.0.tar.gz", [tar_file("sample-1.0/PKG-INFO", b"Metadata-Version: 2.1\n")]
    )


def platform(tag):
    return wheel(tag=f"cp312-cp312-{tag}"), {}, "platform tag"


# By row: the file, what else is sent, and some words of the refusal.
REFUSED = {
    "12 a warning of reStructuredText": (make_wheel, {"form": BAD_ROLE}, "cannot render"),
    "14 control character": (
        make_wheel,
        {"filename": "sam\x07ple-1.0-py3-none-any.whl"},
        "control character",
    ),
    "14 slash": (make_wheel, {"filename": "a/sample-1.0-py3-none-any.whl"}, "a '/'"),
    # Twice, as one stands for the character after it in a form.
    "14 backslash": (make_wheel, {"filename": r"a\\sample-1.0-py3-none-any.whl"}, "a '/'"),
    "14 extension of the other type": (
        make_wheel,
        {"filename": "sample-1.0.tar.gz"},
        "the extension for bdist_wheel",
    ),
    "14 extension of none": (make_sdist, {"filename": "sample-1.0.egg"}, "the extension for sdist"),
    "22 no zip": (changed(make_wheel, lambda _: b"no archive"), {}, "not a readable zip archive"),
    "22 no tar": (changed(make_sdist, lambda _: b"no archive"), {}, "not a readable gzipped tar"),
    "22 half a tar": (
        changed(make_sdist, lambda data: data[:200]),
        {},
        "not a readable gzipped tar",
    ),
    "22 zip and tar": (
        changed(make_sdist, lambda data: data + zip_bytes()),
        {},
        "both a zip archive and a tar",
    ),
    "22 tar and zip": (
        changed(make_wheel, lambda data: tarfile.TarInfo("a").tobuf() + bytes(1024) + data),
        {},
        "starts like a tar",
    ),
    "22 ratio": (holding("sample/zeros", bytes(65 << 20)), {}, "PyPI allows 50 times"),
    "22 compression": (wheel(compression=zipfile.ZIP_LZMA), {}, "stored and deflated"),
    "22 no PKG-INFO": (sdist(omit=["PKG-INFO"]), {}, "PKG-INFO"),
    "22 no WHEEL": (wheel(omit=["WHEEL"]), {}, "/WHEEL"),
    "22 two top folders": (sdist(extra_files={"other/x": b""}), {}, "single top folder"),
    "22 nothing but PKG-INFO": (lone_metadata, {}, "PKG-INFO"),
    "22 paths that start with ./": (partial(make_moved_sdist, prefix="./"), {}, "PKG-INFO"),
    "22 data descriptors": (make_piped_wheel, {}, "data descriptor"),
    "22 comments": (make_commented_wheel, {}, "comment"),
    "22 more after the zip": (
        changed(make_wheel, lambda data: data + b"more"),
        {},
        "continues after the end",
    ),
    "22 sparse members": (sdist(members=[sparse()]), {}, "sparse"),
    "22 encrypted": (
        holding("sample/a.py", b"__pyarmor__(__name__, __file__, b'')"),
        {},
        "encrypted",
    ),
    "23 name that starts otherwise": (
        make_sdist,
        {"filename": "other-1.0.tar.gz"},
        "accepts only 'sample-1.0.tar.gz'",
    ),
    "23 name without a version": (make_sdist, {"filename": "sample.tar.gz"}, "accepts only"),
    "23 version spelled differently": (
        sdist(filename="sample-1.0.0.tar.gz"),
        {"form": {"version": "1.0"}},
        "accepts only",
    ),
    "23 a zip": (sdist(filename="sample-1.0.zip"), {}, "accepts only"),
    "23 licence file": (make_sdist, {"form": {"license_file": "LICENSE"}}, "licence file"),
    "24 name that is none": (
        make_wheel,
        {"filename": "sample-1.0-any.whl"},
        "not the name of a wheel",
    ),
    "24 linux_x86_64": platform("linux_x86_64"),
    "24 macosx_11_5": platform("macosx_11_5_arm64"),
    "24 macosx_16_0": platform("macosx_16_0_arm64"),
    "24 win_arm": platform("win_arm"),
    "24 name that starts otherwise": (make_wheel, {"form": {"name": "other"}}, "starts with"),
    "24 name that is not normalized": (
        wheel(
            filename="Sample-1.0-py3-none-any.whl", extra_files={"Sample-1.0.dist-info/WHEEL": b""}
        ),
        {},
        "accepts only 'sample'",
    ),
    "24 version": (make_wheel, {"form": {"version": "2.0"}}, "says version '1.0'"),
    "24 licence file in the root of dist-info": (
        holding(f"{INFO}/LICENSE", b"free"),
        {"form": {"license_file": "LICENSE"}},
        "licence file",
    ),
    "24 no RECORD": (wheel(omit=["RECORD"]), {}, "/RECORD"),
    "24 entry points": (
        holding(f"{INFO}/entry_points.txt", b"[console_scripts]\n../evil = a:b\n"),
        {},
        "not a script name",
    ),
    "24 no METADATA": (wheel(omit=["METADATA"]), {}, "/METADATA"),
    "24 a name that is too long": (
        make_wheel,
        {"filename": f"sample-1.0-py3-none-{'.'.join(['any'] * 57)}.whl"},
        "the limit is",
    ),
}


@pytest.mark.parametrize(("make", "sent", "words"), REFUSED.values(), ids=list(REFUSED))
def test_a_file_is_refused(shared, tmp_path, make, sent, words):
    answer = shared.upload(make(tmp_path), shared.token(), **sent)
    assert answer.status_code == 400, answer.reason
    assert words in answer.reason
    assert shared.get("/simple/sample/").status_code == 404


@pytest.mark.parametrize(
    "make",
    [sdist(members=[tar_file("/etc/x", b"")]), holding(f"{INFO}/RECORD", b"a,,\n\nb,,\n")],
    ids=["an absolute path in an sdist", "a blank line in RECORD"],
)
def test_a_file_breaks_the_server(shared, tmp_path, make):
    answer = shared.upload(make(tmp_path), shared.token())
    assert (answer.status_code, answer.reason) == (500, "Internal Server Error")
    assert shared.get("/simple/sample/").status_code == 404


ACCEPTED = {
    "an empty RECORD": holding(f"{INFO}/RECORD", b""),
    "wrong hashes in RECORD": holding(f"{INFO}/RECORD", b"sample/__init__.py,sha256=AAAA,1\n"),
    "garbage in WHEEL": holding(f"{INFO}/WHEEL", b"\x00\xff"),
    "METADATA of another version": wheel(metadata={"Version": "2.0"}),
    "symbolic links in an sdist": sdist(members=[tar_link("sample-1.0/a", "/etc/passwd")]),
    "unknown tags": wheel(tag="foo-bar-any"),
    "a wheel's version spelled differently": wheel(version="1.0.0"),
    "an epoch": sdist(version="1!2.0"),
    "a build tag": wheel(tag="1-py3-none-any"),
}


def test_what_looks_wrong_and_is_accepted(tmp_path):
    for make in ACCEPTED.values():
        with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
            assert client.upload(make(tmp_path), client.token()).status_code == 200


def test_each_row_comes_before_those_after_it(tmp_path):
    """Faults are added from the last row to the first; each hides all that were there before."""
    good = make_sdist(tmp_path / "good")
    noise = random.Random(1).randbytes(8000)
    sent: dict[str, object] = {"path": make_sdist(tmp_path, extra_files={"sample-1.0/x": b""})}
    form: dict[str, object] = {}
    misnamed = "Sample-1.0.tar.gz"

    with serving(trusted_root=trusted_root(), registry=Registry.open(), file_limit=4000) as (
        client,
        index,
    ):

        def add(status, words, fields=None, **changes):
            form.update(fields or {})
            sent.update(changes)
            answer = client.upload(**sent, form=form)
            assert (answer.status_code, words in answer.reason) == (status, True), answer.reason

        add(400, "supported when", {"attestations": "[1]"}, token=index.add_user_token())
        add(400, "licence file", {"license_file": "LICENSE"})
        add(400, "accepts only", filename=misnamed)
        add(400, "PKG-INFO", path=make_sdist(tmp_path, omit=["PKG-INFO"]))
        assert client.upload(good, client.token()).status_code == 200
        add(400, "only one")
        index.add_release("sample", "1.0", datetime.now(UTC) - timedelta(days=15))
        add(400, "older than 14 days")
        index.delete_file(misnamed)
        add(400, "previously used")
        # Row 18 is about a name that is there, which cannot have been deleted.
        add(400, "already exists", filename=good.name)
        add(400, "digest supplied", {"md5_digest": "0" * 32})
        add(400, "too large", path=make_sdist(tmp_path, extra_files={"sample-1.0/noise": noise}))
        add(400, "content type", content_type="image/png")
        add(400, "a '/'", filename="a/b.tar.gz")
        add(400, "cannot render", BAD_ROLE)
        add(403, "not valid for project", token=index.add_user_token(["other"]))
        add(400, "have a file", edit=lambda body: body.replace(b'"content"', b'"gpg_signature"'))
        add(400, "the limit is 512", {"summary": "x" * 600})
        add(400, "Python version", {"pyversion": "3"})
        add(400, "protocol version", {"protocol_version": "2"})
        add(403, "authentication information", token="pypi-unknown")
        add(403, "User names", authorization=basic("octocat", "hunter2"))
        add(400, "plain field", files={"summary": ("a.txt", b"x")})
        add(400, "Invalid Form Data.", edit=lambda body: body[:200])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (BAD_ROLE, "cannot render"),
        ({"summary": "x" * 600}, "the limit is 512"),
        ({"md5_digest": "0" * 32}, "digest supplied"),
    ],
)
def test_what_is_there_already_is_still_judged(tmp_path, fields, words):
    path = make_wheel(tmp_path)
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        token = client.token()
        assert client.upload(path, token).status_code == 200
        answer = client.upload(path, token, form=fields)
        assert (answer.status_code, words in answer.reason) == (400, True), answer.reason
        assert client.upload(path, token).status_code == 200
