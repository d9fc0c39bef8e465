"""The command `setup`: its report, its exit status, the rehearsal, the index it asks."""

from __future__ import annotations

import json
import sys

import pytest

from attested_publish.setup.publishers import Publisher, in_order
from support.command import command
from support.repositories import repository

WORKFLOW = """\
name: Release
on: {push: {tags: ['v*']}}
jobs:
  publish:
    runs-on: ubuntu-latest
    environment: pypi
    permissions: {id-token: write}
    steps:
    - uses: pypa/gh-action-pypi-publish@release/v1
"""
GITLAB = """\
stages: [build, publish]
variables: {TWINE_REPOSITORY_URL: "${CI_API_V4_URL}/projects/${CI_PROJECT_ID}/packages/pypi"}
build: {stage: build, script: [python -m build]}
private:
  stage: publish
  script: [twine upload dist/*]
publish:
  stage: publish
  environment: release
  variables: {TWINE_REPOSITORY_URL: ""}
  id_tokens: {PYPI_ID_TOKEN: {aud: pypi}}
  rules: [{if: $CI_COMMIT_TAG}]
  script:
    - api_token=$(curl https://pypi.org/_/oidc/mint-token)
    - twine upload -u __token__ -p "$api_token" dist/*
"""


def reported(tmp_path, *arguments, status=0):
    report = tmp_path / "report.json"
    done = command("setup", *arguments, "--report", report)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(report.read_text()), done.stdout


def test_the_report_and_the_rehearsal(tmp_path):
    root = repository(tmp_path / "repository", {".github/workflows/release.yml": WORKFLOW})
    report, said = reported(tmp_path, root, "--offline")
    assert list(report) == ["schema", "mode", "publishers", "findings", "written"]
    (publisher,) = report["publishers"]
    assert publisher == {
        "index": "pypi",
        "project": "sample",
        "pending": None,
        "provider": "github",
        "owner": "octo-org",
        "repository": "sample-repo",
        "workflow": "release.yml",
        "environment": "pypi",
        "url": "https://pypi.org/manage/project/sample/settings/publishing/?provider=github"
        "&owner=octo-org&repository=sample-repo&workflow_filename=release.yml&environment=pypi",
    }
    (finding,) = report["findings"]
    assert (finding["rule"], finding["line"]) == ("unpinned-action", 9)
    assert "Rehearsed: an embedded PyPI" in said


def test_a_pipeline_of_gitlab(tmp_path):
    root = repository(
        tmp_path / "repository", {".gitlab-ci.yml": GITLAB}, "git@gitlab.com:group/sub/sample.git"
    )
    report, said = reported(tmp_path, root, "--offline")
    (publisher,) = report["publishers"]
    assert publisher["provider"] == "gitlab"
    assert (publisher["owner"], publisher["repository"]) == ("group/sub", "sample")
    assert (publisher["workflow"], publisher["environment"]) == (".gitlab-ci.yml", "release")
    assert report["findings"] == []
    assert "Rehearsed" in said


def test_a_stored_token_in_a_pipeline(tmp_path):
    text = GITLAB.replace('"$api_token"', "$PYPI_TOKEN").replace(
        "  rules: [{if: $CI_COMMIT_TAG}]\n", ""
    )
    root = repository(
        tmp_path / "repository", {".gitlab-ci.yml": text}, "https://gitlab.com/group/sample"
    )
    report, _ = reported(tmp_path, root, "--offline")
    assert {each["rule"] for each in report["findings"]} == {"stored-token", "any-branch"}


def test_nothing_publishes(tmp_path):
    report, said = reported(tmp_path, repository(tmp_path / "repository", {}), "--offline")
    assert report["publishers"] == report["findings"] == report["written"] == []
    assert "--write" in said


def test_a_folder_without_a_project(tmp_path):
    _, said = reported(tmp_path, tmp_path, "--offline")
    assert "no pyproject.toml, setup.cfg or setup.py was found. Run `setup` in a repository" in said
    _, said = reported(tmp_path, tmp_path, "--offline", "--write", status=1)
    assert "no pyproject.toml, setup.cfg or setup.py was found." in said
    assert "--write" not in said, "it would not help"


def test_rehearsals_of_one_job_in_several_environments_are_told_apart(tmp_path):
    text = WORKFLOW.replace(
        "environment: pypi",
        "strategy: {matrix: {to: [stable, preview]}}\n    environment: ${{ matrix.to }}",
    )
    root = repository(tmp_path / "repository", {".github/workflows/release.yml": text})
    _, said = reported(tmp_path, root, "--offline")
    for name in ("stable", "preview"):
        assert f"release.yml (environment {name}), and its attestations" in " ".join(said.split())


def test_several_new_projects_come_after_those_that_exist():
    def publisher(name, *, pending):
        return Publisher("pypi", name, pending, "github", "o", "r", "w.yml", None)

    ordered = in_order([publisher("new", pending=True), publisher("old", pending=False)])
    assert [each.project for each in ordered] == ["old", "new"]
    assert ordered[1].url is not None
    assert ordered[1].url.startswith("https://pypi.org/manage/account/publishing/?provider=github&")
    assert ordered[1].url.endswith("&project_name=new")


@pytest.mark.parametrize("path", ["missing", "file", ""])
def test_wrong_usage(tmp_path, path):
    (tmp_path / "file").touch()
    done = command("setup", str(tmp_path / path) if path else "")
    assert done.returncode == 2
    assert "is not a folder" in done.stderr


def test_without_the_library_one_sentence_says_how_to_install_it(tmp_path):
    root = repository(tmp_path / "repository", {".github/workflows/release.yml": WORKFLOW})
    site = tmp_path / "site"
    (site / "ruamel").mkdir(parents=True)
    (site / "ruamel" / "__init__.py").touch()
    done = command("setup", root, "--offline", PYTHONPATH=str(site))
    assert done.returncode == 1, done.stdout
    assert "with its extra `setup`" in done.stdout
    assert "add ruamel.yaml to the environment" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert sys.modules is not None
