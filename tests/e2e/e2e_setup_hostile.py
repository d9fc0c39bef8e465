"""What people and strangers have in repositories: no crash, no hang, no leak."""

# ruff: noqa: E501 - a workflow in a line is easier to compare with others

from __future__ import annotations

import json
import os
import time

import pytest

from attested_publish.setup.remote import parse
from attested_publish.setup.survey import survey
from support.command import command
from support.repositories import repository

NAME = ".github/workflows/release.yml"
GOOD = """\
name: Release
"on":
  push: {tags: ['v*']}
jobs:
  publish:
    runs-on: ubuntu-latest
    environment: pypi
    permissions: {id-token: write}
    steps:
    - uses: pypa/gh-action-pypi-publish@release/v1
"""
BOMB = "publish: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(20)
)
BROKEN = {
    "no YAML": "publish: [",
    "bomb": BOMB,
    "deep": "publish: " + "[" * 20_000,
    "large": GOOD + "# " + "x" * (1 << 20),
    "binary": b"publish\x00\xff\xfe",
    "a tab": "publish:\n\tx: 1",
    "recursive": "publish: &a [*a]",
    "deep blocks": "publish: " + "- " * 20_000,
    "many keys": "".join(f"publish{i}: x\n" for i in range(30_000)),
    "UTF-16": GOOD.encode("utf-16"),
    "a list": "- publish",
    "a key that is a list": "? [publish]\n: x",
    "an object of Python": "publish: !!python/object/apply:os.system ['touch ran']",
}


@pytest.mark.sample(6)
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_files_are_named_and_the_others_read(content, tmp_path):
    root = repository(tmp_path, {".github/workflows/bad.yml": content, NAME: GOOD})
    begun = time.monotonic()
    found = survey(root)
    assert time.monotonic() - begun < 60
    assert [each.workflow for each in found.publishers] == ["release.yml"]
    assert not (root / "ran").exists()
    assert len(" ".join(found.notices)) < 2000


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("name: Release", "name: &n Release\nrun-name: *n"),
        GOOD.replace("jobs:", "env: {A: '${{ env.A }}', B: '${{ ((((((' }\njobs:"),
        GOOD.replace("'v*'", "v1, null, {a: b}"),
        GOOD.replace(
            "steps:", "strategy: {matrix: {a: [1, 2], include: x, exclude: [3]}}\n    steps:"
        ),
        GOOD.replace(
            "    steps:",
            "    needs: [publish, nothing, [x]]\n    steps:\n    - x\n    - [y]\n    -",
        ),
    ],
)
def test_odd_files_are_read(text, tmp_path):
    found = survey(repository(tmp_path, {NAME: text}))
    assert [(each.workflow, each.environment) for each in found.publishers] == [
        ("release.yml", "pypi")
    ]


def test_a_key_that_occurs_twice_is_said(tmp_path):
    found = survey(repository(tmp_path, {NAME: GOOD + "name: again\n"}))
    assert "twice" in " ".join(found.notices)


def test_other_endings_and_links_are_named(tmp_path):
    secret = tmp_path / "secret.yml"
    secret.write_text(GOOD)
    root = repository(tmp_path / "repository", {".github/workflows/a.YML": GOOD})
    (root / ".github/workflows/b.yml").symlink_to(secret)
    (root / ".github/workflows/d.yml").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / ".github/workflows/c.yml")
    found = survey(root)
    assert found.publishers == []
    assert "a.YML" in " ".join(found.notices)
    assert "b.yml" in " ".join(found.notices)


@pytest.mark.slow
def test_a_thousand_workflows(tmp_path):
    files = {f".github/workflows/w{i}.yml": GOOD for i in range(1000)}
    begun = time.monotonic()
    found = survey(repository(tmp_path, files))
    assert time.monotonic() - begun < 90
    assert len(found.publishers) == 1000


def test_circles_of_actions_and_workflows_end(tmp_path):
    call = "on: [push, workflow_call]\njobs:\n  a:\n    uses: ./.github/workflows/{}.yml\n  b:\n    uses: ./.github/workflows/{}.yml\n"
    action = "name: A\nruns:\n  using: composite\n  steps:\n  - uses: ./a\n  - uses: ./a\n  - run: uv publish\n    shell: bash\n"
    begun = time.monotonic()
    found = survey(
        repository(
            tmp_path,
            {
                ".github/workflows/x.yml": call.format("y", "y"),
                ".github/workflows/y.yml": call.format("x", "x"),
                "a/action.yml": action,
                NAME: GOOD.replace("pypa/gh-action-pypi-publish@release/v1", "./a"),
            },
        )
    )
    assert time.monotonic() - begun < 30
    assert [each.workflow for each in found.publishers] == ["release.yml"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://github.com/octo-org/sample", "octo-org/sample"),
        ("https://github.com/octo-org/sample.git/", "octo-org/sample"),
        ("git@github.com:octo-org/sample.git", "octo-org/sample"),
        ("ssh://git@github.com/octo-org/sample", "octo-org/sample"),
        ("ssh://git@ssh.github.com:443/octo-org/sample.git", "octo-org/sample"),
        ("https://www.github.com/octo-org/sample", "octo-org/sample"),
        ("https://user:ghp_0123456789abcdef@github.com/octo-org/sample.git", "octo-org/sample"),
        ("git@gitlab.com:group/sub/sample.git", "group/sub/sample"),
        ("git@github.com-work:octo-org/sample.git", None),
        ("/srv/git/sample.git", None),
        ("file:///srv/git/sample.git", None),
        ("C:\\git\\sample", None),
        ("https://github.com/octo-org", None),
        ("https://github.com/a/b/c", None),
        ("", None),
    ],
)
def test_remotes(url, path):
    remote = parse(url)
    assert (remote and remote.path) == path


def test_without_a_remote_owner_and_repository_are_null(tmp_path):
    (publisher,) = survey(repository(tmp_path, {NAME: GOOD}, remote=None)).publishers
    assert (publisher.owner, publisher.repository) == (None, None)


@pytest.mark.parametrize(
    "remote", ["https://github.example.com/octo-org/sample", "git@octo.ghe.com:octo-org/sample"]
)
def test_a_server_of_ones_own_has_no_publishers(remote, tmp_path):
    found = survey(repository(tmp_path, {NAME: GOOD}, remote=remote))
    assert found.publishers == []
    assert "not on github.com" in " ".join(found.notices)


def test_no_token_of_a_remote_is_shown(tmp_path):
    secret = "ghp_0123456789abcdefghijklmnop"
    root = repository(
        tmp_path / "repository",
        {NAME: GOOD.replace("environment: pypi", f"environment: {secret}")},
        remote=f"https://x-access-token:{secret}@github.com/octo-org/sample.git",
    )
    report = tmp_path / "report.json"
    done = command("setup", root, "--offline", "--verbose", "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    assert secret not in done.stdout + done.stderr + report.read_text()
    assert json.loads(report.read_text())["publishers"][0]["owner"] == "octo-org"


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "script",
    [
        "$(" * 50_000,
        "`" * 99_999,
        "cat <<A <<B " * 9_000,
        "${" * 50_000,
        "'" * 99_999,
        "a=1;" * 50_000,
    ],
)
def test_scripts_take_time_in_proportion(script, tmp_path):
    text = GOOD.replace(
        "- uses: pypa", f"- run: |\n        {script}\n        twine upload\n    - uses: pypa"
    )
    begun = time.monotonic()
    survey(repository(tmp_path, {NAME: text}))
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("text", ["${{" * 130_000, "${{ a " * 60_000, "}}" + "${{" * 130_000])
def test_expressions_without_an_end_take_time_in_proportion(text, tmp_path):
    begun = time.monotonic()
    survey(
        repository(tmp_path, {NAME: GOOD.replace("environment: pypi", f"environment: '{text}'")})
    )
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("word", ["poetry", "python"])
def test_a_long_name_of_an_action_takes_time_in_proportion(word, tmp_path):
    text = GOOD.replace("- uses: pypa", f"- uses: {word * 60_000}\n    - uses: pypa")
    begun = time.monotonic()
    survey(repository(tmp_path, {NAME: text}))
    assert time.monotonic() - begun < 20
