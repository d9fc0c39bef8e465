"""The action in mode `verify` on pull requests, and the example workflows with it, run whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.e2e.act import on_the_embedded_services
from support.e2e.commands import run
from support.e2e.pull_request import PullRequest
from support.e2e.world import running_world, secrets_in
from support.paths import ROOT

_EXAMPLES = ROOT / "docs" / "examples"
_WORKFLOW = ".github/workflows/dependency-review.yml"


def history():
    def by(repository, environment=""):
        return {"repository": repository, "environment": environment}

    releases = [
        (name, version, by(f"octo-org/{name}"))
        for name in ("same", "newer", "removed", "added")
        for version in ("1.0", "1.1")
    ]
    releases += [
        ("moved", "1.0", by("octo-org/moved", "pypi")),
        ("moved", "2.0", by("evil-org/moved")),
        ("lost", "1.0", by("octo-org/lost")),
        ("lost", "1.1", None),
    ]
    keys = ("project", "version", "publisher")
    return {"releases": [dict(zip(keys, each, strict=True)) for each in releases]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    file = folder / "history.json"
    file.write_text(json.dumps(history()))
    with running_world(folder / "export", "--history", str(file)) as world:
        yield world


def locked(world, folder, *pins):
    """Return the lock that uv makes of a project with these dependencies."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "album"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(list(pins))}\n"
        f'[[tool.uv.index]]\nname = "embedded"\nurl = "{world.index_url}"\ndefault = true\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    subprocess.run(
        [sys.executable, "-m", "uv", "lock", "--quiet", "--no-cache", "--python", sys.executable],
        cwd=folder,
        env=environment | {"NO_PROXY": "127.0.0.1"},
        check=True,
    )
    return (folder / "uv.lock").read_text()


OLD = ("same==1.0", "newer==1.0", "removed==1.0", "moved==1.0", "lost==1.0")
NEW = ("same==1.0", "newer==1.1", "added==1.1", "moved==2.0", "lost==1.1")


@pytest.fixture(scope="module")
def locks(world, tmp_path_factory):
    """The lock of the base branch, and that of the pull request."""
    folder = tmp_path_factory.mktemp("locks")
    return locked(world, folder / "old", *OLD), locked(world, folder / "new", *NEW)


def workflow(**inputs):
    """The example workflow, on the embedded services."""
    text = (_EXAMPLES / "dependency-review.yml").read_text()
    return {_WORKFLOW: on_the_embedded_services(text, inputs)}


@pytest.fixture
def review(world, action, machine, default_image, tmp_path):
    """Run the workflow for a pull request that changes a tree, with the image."""

    def run_it(base, changed, **options):
        pull = PullRequest(tmp_path, base, changed)
        done = pull.review("dependency-review", world, action, machine, **options)
        assert "Runtime: Docker, sha256:" in done.log
        assert_harmless(done)
        return done

    return run_it


def entry(lock, name):
    """The line at which the package's entry begins."""
    return lock.splitlines().index(f'name = "{name}"')


def first_file(lock, name):
    """The line of the first file of the package."""
    lines = lock.splitlines()
    start = entry(lock, name)
    return next(n for n, line in enumerate(lines, 1) if n > start and line.startswith("sdist = "))


def assert_compared(done, lock, name="uv.lock"):
    """What the pull request changes is found, shown and annotated."""
    rows = done.rows()
    assert {each: cells[0].partition(" ")[2] for each, cells in rows.items()} == {
        "moved": "publisher changed",
        "lost": "attestation lost",
        "added": "added",
        "removed": "removed",
        "newer": "same publisher",
    }
    old = (
        "[GitHub octo-org/moved release.yml, environment pypi](<https://github.com/octo-org/moved>)"
    )
    new = "[GitHub evil-org/moved release.yml](<https://github.com/evil-org/moved>)"
    assert rows["moved"][1:] == [f"1.0<br>{old}", f"2.0<br>{new}"]
    assert rows["lost"][2] == "1.1<br>not attested"
    assert "since the lock in the base branch" in done.summary
    assert found_at(done) == {
        ("moved%3A publisher-changed", name, first_file(lock, "moved")),
        ("lost%3A provenance-lost", name, entry(lock, "lost")),
    }


def found_at(done):
    """The title and the place of each annotation that is an error; nothing is shown twice."""
    found = [
        (each.where["title"], *each.place) for each in done.annotations if each.level == "error"
    ]
    assert len(found) == len(set(found)), found
    return set(found)


def assert_harmless(done):
    assert "Traceback" not in done.log
    assert secrets_in(done.log) == []


# Of a pull request from a fork, the workflow gets no secrets, and a token that may only read.
@pytest.mark.parametrize("is_fork", [False, True], ids=["own", "fork"])
def test_what_a_pull_request_changes(review, locks, is_fork):
    old, new = locks
    done = review({"uv.lock": old, **workflow()}, {"uv.lock": new}, is_fork=is_fork)
    assert not done.succeeded
    assert_compared(done, new)
    assert [each for each in done.annotations if each.level == "warning"] == []


def test_where_there_is_no_engine(world, locks, action, tmp_path):
    old, new = locks
    pull = PullRequest(tmp_path, {"uv.lock": old, **workflow()}, {"uv.lock": new})
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = pull.review("dependency-review", world, action, None, job=nowhere)
    assert not done.succeeded
    assert "Using plain Python" in done.log
    assert_compared(done, new)
    assert_harmless(done)


@pytest.mark.parametrize("depth", [1, 0])
def test_how_deep_the_checkout_is(review, locks, depth):
    old, new = locks
    text = workflow()[_WORKFLOW].replace("fetch-depth: 2", f"fetch-depth: {depth}")
    assert f"fetch-depth: {depth}" in text
    done = review({"uv.lock": old, _WORKFLOW: text}, {"uv.lock": new})
    assert not done.succeeded
    if depth == 0:
        assert_compared(done, new)
        return
    # It says so, and compares with the release before.
    (warning,) = (each for each in done.annotations if each.level == "warning")
    assert "fetch-depth: 2" in warning.text
    assert done.rows() == {}
    assert found_at(done) == {
        ("moved%3A publisher-changed", "uv.lock", first_file(new, "moved")),
        ("lost%3A provenance-lost", "uv.lock", entry(new, "lost")),
    }
    assert "the release before" in done.summary


def test_nothing_has_changed(review, locks):
    done = review({"uv.lock": locks[0], **workflow()}, {"other.txt": "other"})
    assert done.succeeded, done.log
    assert "Nothing has changed since the lock in the base branch" in done.summary
    assert done.annotations == []


def test_a_lock_with_a_new_name_is_all_new(review, locks):
    old, new = locks
    done = review(
        {"uv.lock": old, **workflow()},
        {"uv.lock": None, "app/uv.lock": new, **workflow(lock="app/uv.lock")},
    )
    assert not done.succeeded
    assert "app/uv.lock is new: the base branch has no such file." in done.log
    assert {cells[0].partition(" ")[2] for cells in done.rows().values()} == {"added"}
    # It hides nothing: each is compared with the release before.
    assert ("moved%3A publisher-changed", "app/uv.lock", first_file(new, "moved")) in found_at(done)
    assert ("lost%3A provenance-lost", "app/uv.lock", entry(new, "lost")) in found_at(done)


def test_a_lock_that_is_deleted(review, locks):
    done = review({"uv.lock": locks[0], **workflow()}, {"uv.lock": None})
    assert not done.succeeded
    (error,) = (each for each in done.annotations if each.level == "error")
    assert "uv.lock" in error.text + error.where["title"]
    assert "Not everything could be verified" in done.summary


def test_several_locks_and_a_policy(review, locks):
    old, new = locks
    policy = """\
[project.moved]
repository = "evil-org/moved"

[project.newer]
repository = "octo-org/somebody-else"

[[project.lost.exceptions]]
rule = "provenance-lost"
reason = "Published by hand"
until = 2099-01-01
"""
    inputs = {"lock": "uv.lock\napp/uv.lock\n", "policy": "publishers.toml"}
    done = review(
        {"uv.lock": old, "app/uv.lock": old, "publishers.toml": policy, **workflow(**inputs)},
        {"uv.lock": new, "app/uv.lock": new},
    )
    assert not done.succeeded
    assert found_at(done) == {
        ("newer%3A publisher-unexpected", name, first_file(new, "newer"))
        for name in ("uv.lock", "app/uv.lock")
    }
    # What was expected is no finding, but reviewers see it. Both locks have it.
    assert done.rows()["moved"][0].endswith("publisher changed")
    assert done.summary.count("| **moved**") == 1
    assert "Excepted until 2099-01-01: Published by hand" in done.summary


def test_compared_with_another_lock(review, locks):
    old, new = locks
    inputs = {"lock": "new/uv.lock", "against": "old/uv.lock"}
    tree = {"old/uv.lock": old, "new/uv.lock": new, **workflow(**inputs)}
    # Whatever the base branch has: nothing is compared with it.
    done = review(tree, {})
    assert not done.succeeded
    assert "since the lock in old/uv.lock" in done.summary
    assert done.rows()["moved"][0].endswith("publisher changed")
    assert ("moved%3A publisher-changed", "new/uv.lock", first_file(new, "moved")) in found_at(done)


def test_a_wrong_input_is_one_sentence(review, locks):
    done = review({"uv.lock": locks[0], **workflow(lock="")}, {"other.txt": "x"})
    assert not done.succeeded
    (error,) = done.annotations
    assert error.level == "error"
    assert error.text.startswith("lock is empty")
    assert "lock is empty" in done.summary


# Those who maintain a project.


@pytest.fixture(scope="module")
def wheels(action, tmp_path_factory):
    """This project and its locked packages, as an index would have them."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "--quiet")
    lock = str(action / "requirements" / "runtime.txt")
    run(*pip, "download", "--no-deps", "--require-hashes", "-d", str(folder), "-r", lock)
    run(*pip, "wheel", "--no-deps", "-w", str(folder), str(action))
    return folder


@pytest.mark.parametrize("publisher", ["pypa/sampleproject", "evil-org/sampleproject"])
def test_releases_are_watched(wheels, action, tmp_path, publisher):
    ours = {"repository": "pypa/sampleproject"}
    past = [("4.0.0", ours), ("4.0.1", ours), ("4.1.0", {"repository": publisher})]
    releases = [{"project": "sampleproject", "version": v, "publisher": p} for v, p in past]
    file = tmp_path / "history.json"
    file.write_text(json.dumps({"releases": releases}))
    text = (_EXAMPLES / "watch-releases.yml").read_text().rstrip()
    # The last line of the file is the last one of the command.
    text += " --index-url ${{ vars.SIMPLE }} --sigstore-trust-config ${{ vars.TRUST }}\n"
    pull = PullRequest(tmp_path, {".github/workflows/watch-releases.yml": text}, {})
    packages = {"UV_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_PYTHON_DOWNLOADS": "never"}
    with running_world(tmp_path / "world", "--history", str(file)) as world:
        done = pull.review("watch-releases", world, action, None, event="schedule", job=packages)
    assert "Traceback" not in done.log
    if publisher == "pypa/sampleproject":
        assert done.succeeded, done.log
        assert "6 of 6 files in 3 releases are from the expected publisher." in done.log
    else:
        assert not done.succeeded
        assert "4 of 6 files in 3 releases are from the expected publisher." in done.log
        assert "repository evil-org/sampleproject, not pypa/sampleproject" in done.log
        assert "✓ 4.0.1" in done.log
        assert "✓ 4.1.0" not in done.log
