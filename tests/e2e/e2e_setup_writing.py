"""What `setup --write` writes: linted, minimal, and never over what is not committed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attested_publish.setup import pins
from attested_publish.setup.survey import survey
from attested_publish.setup.writing import write
from support.command import command
from support.paths import ROOT
from support.repositories import PYPROJECT, git, repository

PROGRAMS = Path(sys.executable).parent
NAME = ".github/workflows/deploy.yml"
SECRET = "${{ secrets.PYPI_API_TOKEN }}"

OLD = f"""\
# Our release. Keep this comment.
name: Deploy
on:
  release:
    types: [published]   # only then

jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: live
    steps:
    - uses: actions/checkout@{pins.CHECKOUT.commit} # v7.0.1
    - name: Build
      run: python -m build
    # Now it becomes public.
    - name: Publish
UPLOAD
    - run: echo done
"""
UPLOADS = {
    "pypa": f"""\
      uses: pypa/gh-action-pypi-publish@release/v1 # moving
      with:
        user: __token__
        password: {SECRET}""",
    "pypa, old names": f"""\
      uses: pypa/gh-action-pypi-publish@v1.5.0
      with:
        password: {SECRET}
        packages_dir: dist
        skip_existing: true""",
    "twine": f"""\
      env:
        TWINE_USERNAME: __token__
        TWINE_PASSWORD: {SECRET}
      run: |
        pip install twine
        twine upload --skip-existing \\
          out/*""",
    "twine in one line": f"""\
      run: python -m twine upload dist/*
      env: {{TWINE_PASSWORD: '{SECRET}'}}""",
    "twine among others": f"""\
      env:
        TWINE_PASSWORD: {SECRET}
      run: |
        ls dist
        twine upload dist/*""",
    "uv": f"""\
      run: uv publish
      env:
        UV_PUBLISH_TOKEN: {SECRET}""",
}


def lint(folder, *, pedantic=True):
    """The findings of actionlint and zizmor."""
    workflows = [str(path) for path in (folder / ".github/workflows").iterdir()]
    found = subprocess.run(
        [PROGRAMS / "actionlint", "-shellcheck=", *workflows],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    if pedantic:
        done = subprocess.run(
            [PROGRAMS / "zizmor", "--offline", "--quiet", "--persona=auditor", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        found += done.stdout if done.returncode else ""
    return found


@pytest.mark.parametrize(
    "backend",
    [
        'build-backend = "flit_core.buildapi"',
        'build-backend = "maturin"',
        'build-backend = "mesonpy"',
        'build-backend = "setuptools.build_meta"\n[tool.cibuildwheel]',
    ],
)
def test_a_new_workflow_passes_the_linters_and_publishes(tmp_path, backend):
    text = PYPROJECT.replace('build-backend = "flit_core.buildapi"', "").replace(
        "[project]", "[project]"
    )
    text = f"{text}\n[build-system]\n{backend}\n".replace(
        "[build-system]\nrequires", "[x]\nrequires"
    )
    root = repository(tmp_path, {"pyproject.toml": text})
    outcome = write(survey(root), offline=True)
    assert [change.name for change in outcome.written] == [".github/workflows/release.yml"]
    assert not outcome.refused
    assert lint(root) == ""
    found = survey(root)
    assert [(each.workflow, each.environment) for each in found.publishers] == [
        ("release.yml", "pypi")
    ]
    assert found.findings == []


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS)
def test_a_workflow_is_changed_in_few_places(tmp_path, upload):
    root = repository(tmp_path, {NAME: OLD.replace("UPLOAD", upload)})
    before = survey(root)
    outcome = write(before, offline=True)
    assert outcome.refused == []
    after = survey(root)
    text = (root / NAME).read_text()
    assert after.publishers == before.publishers
    assert "stored-token" not in {each.rule for each in after.findings}
    assert "secrets." not in text
    for kept in ("# Our release. Keep this comment.", "# only then", "# Now it becomes public."):
        assert kept in text
    removed = [line for line in outcome.written[0].difference() if line.startswith("-")]
    assert len(removed) <= upload.count("\n") + 2
    assert text.count("attested-publish/attested-publish@") == 1
    assert text.endswith("    - run: echo done\n")
    assert lint(root, pedantic=False) == ""
    assert "id-token: write" in text
    assert "contents: read" in text


def test_files_of_windows_keep_their_line_ends(tmp_path):
    text = OLD.replace("UPLOAD", UPLOADS["twine"]).replace("\n", "\r\n").encode("utf-8-sig")
    root = repository(tmp_path, {NAME: text})
    assert write(survey(root), offline=True).refused == []
    content = (root / NAME).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf#")
    assert content.count(b"\r\n") == content.count(b"\n") > 10


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("twine upload --skip-existing", "false || twine upload", "longer"),
        ("out/*", "$FILES", "not known"),
        ("name: Deploy", "name: &x Deploy\nrun-name: *x", "aliases"),
    ],
)
def test_what_cannot_be_changed_safely_stays(tmp_path, old, new, why):
    text = OLD.replace("UPLOAD", UPLOADS["twine"]).replace(old, new)
    root = repository(tmp_path, {NAME: text})
    outcome = write(survey(root), offline=True)
    assert outcome.written == []
    assert why in " ".join(outcome.refused)
    assert (root / NAME).read_text() == text


@pytest.mark.sample(1)
@pytest.mark.parametrize("is_new", [True, False])
def test_uncommitted_changes_are_never_written_over(tmp_path, is_new):
    text = OLD.replace("UPLOAD", UPLOADS["pypa"])
    root = repository(tmp_path / "repository", {} if is_new else {NAME: text})
    path = root / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}# mine\n")
    report = tmp_path / "report.json"
    done = command("setup", root, "--offline", "--write", "--report", report)
    assert done.returncode == 1, done.stdout
    assert "uncommitted changes" in done.stdout
    assert path.read_text() == f"{text}# mine\n"
    assert json.loads(report.read_text())["written"] == []
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Mine")
    assert command("setup", root, "--offline", "--write").returncode == 0
    assert "# mine" in path.read_text()


def test_nothing_is_written_unasked(tmp_path):
    root = repository(tmp_path, {NAME: OLD.replace("UPLOAD", UPLOADS["pypa"])})
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert command("setup", root, "--offline").returncode == 0
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_link_out_of_the_repository_is_not_followed(tmp_path):
    root = repository(tmp_path / "repository", {})
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / ".github").symlink_to(outside)
    done = command("setup", root, "--offline", "--write")
    assert done.returncode == 1
    assert not list(outside.rglob("*.yml"))


def test_the_pins_are_those_of_the_examples():
    used = "".join(path.read_text() for path in (ROOT / "docs/examples").glob("*.yml"))
    for pin in (pins.CHECKOUT, pins.SETUP_UV, pins.UPLOAD, pins.DOWNLOAD):
        assert set(re.findall(rf"{pin.action}@.*", used)) == {str(pin)}
    assert set(re.findall(r"version: \"(.*)\"", used)) == {pins.UV}
    assert set(re.findall(r"cibuildwheel@([\d.]+)", used)) == {pins.CIBUILDWHEEL}
