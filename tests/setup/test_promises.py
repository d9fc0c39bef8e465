"""`setup` promises only what it does: about attestations, `--write`, and the commit it pins."""

# ruff: noqa: E501 - a file in a line is easier to compare with others

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from attested_publish import __version__
from attested_publish.setup import pins
from attested_publish.setup.survey import survey
from attested_publish.setup.writing import with_remedies, write
from support.command import command
from support.repositories import git, repository

NAME = ".github/workflows/release.yml"
PYPA = "      - uses: pypa/gh-action-pypi-publish@release/v1\n"
SECRET = "        with: {password: '${{ secrets.TOKEN }}'}\n"
BLOCK_SECRET = "        with:\n          password: ${{ secrets.TOKEN }}\n"
TWINE = "      - run: |\n          twine upload dist/*\n{}        env: {{TWINE_PASSWORD: '${{{{ secrets.TOKEN }}}}'}}\n"
GITLAB = "https://gitlab.com/group/sample.git"


def workflow(steps):
    return (
        "name: R\non: {push: {tags: ['v*']}}\njobs:\n  go:\n    runs-on: ubuntu-latest\n"
        f"    environment: pypi\n    permissions: {{id-token: write}}\n    steps:\n{steps}"
    )


ATTESTED = {
    "an action": (PYPA, "and its attestations."),
    "attestations that are off": (
        PYPA + "        with: {attestations: false}\n",
        "without attestations, as its upload has none.",
    ),
    "a command that has none": (
        "      - run: poetry publish\n",
        "without attestations, as its upload has none.",
    ),
    "twine": (
        "      - run: twine upload dist/*\n",
        "without attestations, as its upload has none.",
    ),
    "twine with them": (
        "      - run: twine upload --attestations dist/*\n",
        "and its attestations.",
    ),
    "uv": ("      - run: uv publish\n", "and its attestations."),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize(("steps", "end"), ATTESTED.values(), ids=ATTESTED)
def test_attestations_are_promised_only_where_there_are_any(steps, end, tmp_path):
    root = repository(tmp_path / "repository", {NAME: workflow(steps)})
    said = " ".join(command("setup", root, "--offline").stdout.split())
    assert f"accepts the job go of {NAME}, {end}" in said


IDENTITY_TOKENS = {
    "with": ("  id_tokens: {PYPI_ID_TOKEN: {aud: pypi}}\n", "and its attestations."),
    "without": ("", "and its attestations, once it has `id_tokens`"),
}


@pytest.mark.parametrize(("tokens", "end"), IDENTITY_TOKENS.values(), ids=IDENTITY_TOKENS)
def test_a_job_on_gitlab_needs_an_identity_token_for_them(tokens, end, tmp_path):
    text = f"pub:\n{tokens}  script: [uv publish]\n"
    root = repository(tmp_path / "repository", {".gitlab-ci.yml": text}, GITLAB)
    said = " ".join(command("setup", root, "--offline").stdout.split())
    assert f"accepts the job pub of .gitlab-ci.yml, {end}" in said
    assert "any-branch" in said
    assert "zizmor" not in said


def remedy(root):
    (found,) = [each for each in with_remedies(survey(root)) if each.rule == "stored-token"]
    return found.remedy


@pytest.mark.parametrize(
    "steps",
    [
        PYPA + BLOCK_SECRET,
        TWINE.format("").replace("{TWINE", "\n          TWINE").replace("'}", "'"),
    ],
)
def test_the_remedy_says_that_write_changes_the_workflow_where_it_does(steps, tmp_path):
    root = repository(tmp_path / "repository", {NAME: workflow(steps)})
    assert "`setup --write` changes the workflow." in remedy(root)
    assert [each.name for each in write(survey(root), offline=True).written] == [NAME]


REFUSED = {
    "something after the upload": (
        TWINE.format("          rm -rf dist\n"),
        "does something after the upload",
    ),
    "braces": (PYPA + SECRET, "braces"),
}


@pytest.mark.parametrize(("steps", "why"), REFUSED.values(), ids=REFUSED)
def test_the_remedy_says_why_write_changes_nothing_where_it_does_not(steps, why, tmp_path):
    root = repository(tmp_path / "repository", {NAME: workflow(steps)})
    outcome = write(survey(root), offline=True)
    if outcome.written:
        pytest.fail("this is no case in which nothing is written")
    assert "`setup --write` would change nothing" in remedy(root)
    assert why in remedy(root)
    assert "changes the workflow" not in remedy(root)
    assert (root / NAME).read_text() == workflow(steps)


@pytest.mark.parametrize(
    "files",
    [
        {NAME: workflow("      - run: poetry publish -p ${{ secrets.TOKEN }}\n")},
        {
            NAME: workflow(
                "      - uses: nick-fields/retry@v3\n        with: {command: 'uv publish -t ${{ secrets.TOKEN }}'}\n"
            )
        },
        {".gitlab-ci.yml": "pub:\n  script: [twine upload -p $TOKEN dist/*]\n"},
    ],
    ids=["poetry", "an input", "GitLab"],
)
def test_the_remedy_does_not_mention_write_where_it_changes_no_such_upload(files, tmp_path):
    root = repository(
        tmp_path / "repository", files, GITLAB if NAME not in files else "https://github.com/o/r"
    )
    assert "--write" not in remedy(root)
    outcome = write(survey(root), offline=True)
    assert outcome.written == outcome.refused == []


def test_a_password_in_a_variable_with_braces_goes_with_the_upload(tmp_path):
    step = "      - run: |\n          twine upload -u __token__ -p ${TOKEN} dist/*\n"
    text = workflow(step).replace(
        "    steps:", "    env:\n      TOKEN: ${{ secrets.TOKEN }}\n    steps:"
    )
    root = repository(tmp_path / "repository", {NAME: text})
    (change,) = write(survey(root), offline=True).written
    assert "twine" not in change.after


# The commit that is pinned.


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clone of this checkout, as far as its tags and commits go."""
    root = tmp_path_factory.mktemp("checkout") / "own"
    repository(root, {"action.yml": "name: x\n"})
    return root


def commit_of(root):
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def own_pin(monkeypatch, root):
    monkeypatch.setattr(pins, "__file__", str(root / "src/attested_publish/setup/pins.py"))
    monkeypatch.setattr(pins, "_installed_from", lambda: None)
    return pins.own_pin(offline=True)


@pytest.mark.parametrize("annotated", [(), ("-m", "Release")], ids=["light", "annotated"])
def test_the_commit_of_a_release_has_its_version(annotated, checkout, tmp_path, monkeypatch):
    root = Path(shutil.copytree(checkout, tmp_path / "own"))
    assert own_pin(monkeypatch, root) == (pins.OURS, commit_of(root), "unreleased")
    git(root, "tag", *annotated, f"v{__version__}")
    pin = own_pin(monkeypatch, root)
    assert pin == (pins.OURS, commit_of(root), f"v{__version__}")
    assert pin.is_release
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Go on")
    assert own_pin(monkeypatch, root) == (pins.OURS, commit_of(root), "unreleased")


@pytest.mark.parametrize(
    ("revision", "version"),
    [(f"v{__version__}", f"v{__version__}"), ("main", "unreleased"), (None, "unreleased")],
)
def test_what_was_installed_from_git_says_what_was_asked_for(
    revision, version, tmp_path, monkeypatch
):
    record = {
        "url": "x",
        "vcs_info": {"vcs": "git", "commit_id": "a" * 40, "requested_revision": revision},
    }
    information = tmp_path / "attested_publish-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: attested-publish\nVersion: 1\n"
    )
    (information / "direct_url.json").write_text(json.dumps(record))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert pins.own_pin(offline=True) == (pins.OURS, "a" * 40, version)


@pytest.mark.parametrize("files", [{}, {NAME: workflow(PYPA)}], ids=["new", "changed"])
def test_a_commit_that_is_no_releases_is_said_to_be_none(files, tmp_path, monkeypatch):
    pin = pins.Pin(pins.OURS, "a" * 40, pins.UNRELEASED)
    monkeypatch.setattr(pins, "own_pin", lambda *, offline: pin)
    root = repository(tmp_path / "repository", files)
    outcome = write(survey(root), offline=True)
    (change,) = outcome.written
    assert f"{'a' * 40} # unreleased" in change.after
    assert any(
        "a" * 40 in each and "not known to be that of a release" in each for each in outcome.notices
    )


def test_a_releases_commit_needs_no_notice(tmp_path, monkeypatch):
    pin = pins.Pin(pins.OURS, "a" * 40, "v1.0.0")
    monkeypatch.setattr(pins, "own_pin", lambda *, offline: pin)
    outcome = write(survey(repository(tmp_path / "repository", {})), offline=True)
    assert outcome.notices == []
    assert f"{'a' * 40} # v1.0.0" in outcome.written[0].after
