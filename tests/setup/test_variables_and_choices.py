"""What earlier steps set, what is chosen at the start, and what a condition decides is followed."""

# ruff: noqa: E501 - a file in a line is easier to compare with others

from __future__ import annotations

import pytest

from attested_publish.setup.survey import survey
from support.repositories import repository

NAME = ".github/workflows/release.yml"
TAGS = "on: {push: {tags: ['v*']}}\n"
TWINE = "      - run: twine upload dist/*\n"
PYPA = "      - uses: pypa/gh-action-pypi-publish@release/v1\n"
TO = PYPA + "        with:\n          repository-url: {}\n"
TESTPYPI = "https://test.pypi.org/legacy/"
WORKSPACE = {
    "pyproject.toml": "[tool.uv.workspace]\nmembers = ['p/*']\n",
    **{f"p/{name}/pyproject.toml": f'[project]\nname = "{name}"\n' for name in ("one", "two")},
}


def workflow(steps, *, env="pypi", on=TAGS, before=""):
    return (
        f"name: R\n{on}jobs:\n{before}  go:\n    runs-on: ubuntu-latest\n    environment: {env}\n"
        f"    permissions: {{id-token: write}}\n    steps:\n{steps}"
    )


def published(tmp_path, text, files=None):
    root = repository(tmp_path / "repository", {NAME: text, **(files or {})})
    found = survey(root)
    assert not found.may_publish
    return sorted((each.index, each.project, each.environment) for each in found.publishers)


def sets(*lines, more=""):
    script = "".join(f"          {line}\n" for line in lines)
    return f"      - {more}run: |\n{script}"


# Variables that a step sets for those after it.

TO_TESTPYPI = {
    "echo": sets('echo "TWINE_REPOSITORY=testpypi" >> $GITHUB_ENV'),
    "an address": sets(f'echo TWINE_REPOSITORY_URL={TESTPYPI} >> "$GITHUB_ENV"'),
    "braces": sets('echo "TWINE_REPOSITORY=testpypi" >> "${GITHUB_ENV}"'),
    "printf": sets("printf 'TWINE_REPOSITORY=testpypi\\n' >> $GITHUB_ENV"),
    "a variable's value": sets("NAME=testpypi", 'echo "TWINE_REPOSITORY=$NAME" >> $GITHUB_ENV'),
    "a document": sets("cat >> $GITHUB_ENV <<EOF", "TWINE_REPOSITORY=testpypi", "EOF"),
    "a group": sets("{", "  echo TWINE_REPOSITORY=testpypi", "  echo A=b", "} >> $GITHUB_ENV"),
    "tee": sets("echo TWINE_REPOSITORY=testpypi | tee -a $GITHUB_ENV"),
    "PowerShell": sets(
        '"TWINE_REPOSITORY=testpypi" >> $env:GITHUB_ENV', more="shell: pwsh\n        "
    ),
    "set again": sets("echo TWINE_REPOSITORY=pypi >> $GITHUB_ENV")
    + sets("echo TWINE_REPOSITORY=testpypi >> $GITHUB_ENV"),
}


@pytest.mark.parametrize("steps", TO_TESTPYPI.values(), ids=TO_TESTPYPI)
def test_a_variable_that_a_step_sets_holds_for_those_after_it(steps, tmp_path):
    assert published(tmp_path, workflow(steps + TWINE)) == [("testpypi", "sample", "pypi")]


NOT_SET = {
    "after the upload": TWINE + sets("echo TWINE_REPOSITORY=testpypi >> $GITHUB_ENV"),
    "only in the step": sets("export TWINE_REPOSITORY=testpypi") + TWINE,
    "only printed": sets("echo TWINE_REPOSITORY=testpypi") + TWINE,
    "another file": sets("echo TWINE_REPOSITORY=testpypi >> $GITHUB_OUTPUT") + TWINE,
    "the step's own variable": sets("echo TWINE_REPOSITORY=testpypi >> $GITHUB_ENV")
    + TWINE
    + "        env: {TWINE_REPOSITORY: pypi}\n",
}


@pytest.mark.parametrize("steps", NOT_SET.values(), ids=NOT_SET)
def test_a_variable_that_is_not_set_for_the_upload_does_not_count(steps, tmp_path):
    assert published(tmp_path, workflow(steps)) == [("pypi", "sample", "pypi")]


BOTH = [("pypi", "sample", "pypi"), ("testpypi", "sample", "pypi")]
EITHER = {
    "a step with a condition": sets(
        "echo TWINE_REPOSITORY=testpypi >> $GITHUB_ENV", more="if: github.actor == 'a'\n        "
    )
    + TWINE,
    "a branch of a script": sets(
        "if true; then", "  echo TWINE_REPOSITORY=testpypi >> $GITHUB_ENV", "fi"
    )
    + TWINE,
    "both branches": sets(
        "if true; then",
        f"  echo INDEX={TESTPYPI} >> $GITHUB_ENV",
        "else",
        "  echo INDEX=https://upload.pypi.org/legacy/ >> $GITHUB_ENV",
        "fi",
    )
    + TO.format("${{ env.INDEX }}"),
}


@pytest.mark.parametrize("steps", EITHER.values(), ids=EITHER)
def test_a_variable_that_may_be_set_has_both_values(steps, tmp_path):
    assert published(tmp_path, workflow(steps)) == BOTH


NOT_UNDERSTOOD = {
    "Python": sets(
        "import os",
        "open(os.environ['GITHUB_ENV'], 'a').write('TWINE_REPOSITORY=testpypi\\n')",
        more="shell: python\n        ",
    ),
    "a pipe in PowerShell": sets(
        '"TWINE_REPOSITORY=testpypi" | Out-File -FilePath $env:GITHUB_ENV -Append',
        more="shell: pwsh\n        ",
    ),
    "a parameter in PowerShell": sets(
        "Add-Content -Path $env:GITHUB_ENV -Value 'TWINE_REPOSITORY=testpypi'",
        more="shell: pwsh\n        ",
    ),
    "several lines": sets(
        "{", "  echo 'TWINE_REPOSITORY<<E'", "  echo testpypi", "  echo E", "} >> $GITHUB_ENV"
    ),
    "another program": sets('sed s/X/Y/ <<< "TWINE_REPOSITORY=testpypi" >> $GITHUB_ENV'),
}


@pytest.mark.parametrize("steps", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_a_variable_that_is_set_in_another_way_is_not_known(steps, tmp_path):
    """Or an upload to TestPyPI would be taken, and rewritten, as one to PyPI."""
    assert published(tmp_path, workflow(steps + TWINE)) == [(None, "sample", "pypi")]


UNDERSTOOD = {
    "its own variable": sets("TWINE_REPOSITORY=testpypi", "echo A=b >> $GITHUB_ENV"),
    "for one command": sets("TWINE_REPOSITORY=testpypi true", "echo A=b >> $GITHUB_ENV"),
    "an output": sets(
        'echo "TWINE_REPOSITORY=testpypi" >> $GITHUB_OUTPUT', "echo A=b >> $GITHUB_ENV"
    ),
    "an option": sets("true --TWINE_REPOSITORY=testpypi", "echo A=b >> $GITHUB_ENV"),
    "another variable": sets('sed s/X/Y/ <<< "INDEX=testpypi" >> $GITHUB_ENV'),
}


@pytest.mark.parametrize("steps", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_a_variable_that_is_not_set_for_others_does_not_count(steps, tmp_path):
    assert published(tmp_path, workflow(steps + TWINE)) == [("pypi", "sample", "pypi")]


def test_a_secret_that_a_step_sets_is_a_stored_token(tmp_path):
    steps = sets("echo TWINE_PASSWORD=${{ secrets.TOKEN }} >> $GITHUB_ENV") + TWINE
    found = survey(repository(tmp_path / "repository", {NAME: workflow(steps)}))
    assert "stored-token" in {each.rule for each in found.findings}


# What is chosen when a workflow is started by hand.

PACKAGE = "on: {workflow_dispatch: {inputs: {package: {type: choice, options: [one, two]}}}}\n"
WHERE = "on: {workflow_dispatch: {inputs: {where: {type: choice, options: [pypi, testpypi]}}}}\n"


def test_the_projects_of_a_choice_are_enumerated(tmp_path):
    files = WORKSPACE | {"p/three/pyproject.toml": '[project]\nname = "three"\n'}
    build = "      - run: uv build --package ${{ inputs.package }}\n"
    assert published(tmp_path, workflow(build + PYPA, on=PACKAGE), files) == [
        ("pypi", "one", "pypi"),
        ("pypi", "two", "pypi"),
    ]


def test_each_option_is_followed_from_job_to_job(tmp_path):
    before = (
        "  build:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: uv build --package ${{ inputs.package }}\n"
    )
    text = workflow(PYPA, env="pypi-${{ inputs.package }}", on=PACKAGE, before=before)
    text = text.replace("  go:\n", "  go:\n    needs: build\n")
    assert published(tmp_path, text, WORKSPACE) == [
        ("pypi", "one", "pypi-one"),
        ("pypi", "two", "pypi-two"),
    ]


CORRELATED = [("pypi", "sample", "pypi"), ("testpypi", "sample", "testpypi")]
URL = f"${{{{ COND && 'https://upload.pypi.org/legacy/' || '{TESTPYPI}' }}}}"
TERNARY = "${{ COND && 'pypi' || 'testpypi' }}"


def test_an_environment_that_is_a_choice_goes_with_its_index(tmp_path):
    steps = TO.format(URL.replace("COND", "inputs.where == 'pypi'"))
    text = workflow(steps, env="${{ inputs.where }}", on=WHERE)
    assert published(tmp_path, text) == CORRELATED


def test_a_choice_has_no_value_when_something_else_starts_the_workflow(tmp_path):
    on = WHERE.replace("on: {", "on: {push: {tags: ['v*']}, ")
    text = workflow(PYPA, env="${{ github.event.inputs.where || 'live' }}", on=on)
    assert [env for _, _, env in published(tmp_path, text)] == ["live", "pypi", "testpypi"]


CONDITIONS = [
    "inputs.real",
    "inputs.real == true",
    "inputs.what == 'release'",
    "github.ref == 'refs/heads/main'",
    "github.ref_name == 'main'",
    "github.ref_type == 'tag'",
    "startsWith(github.ref, 'refs/tags/')",
    "github.event_name == 'release'",
    "needs.plan.outputs.final == 'true'",
    "(github.ref == 'refs/heads/main' || startsWith(github.ref, 'refs/tags/v'))",
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_environment_that_depends_on_a_condition_goes_with_its_index(condition, tmp_path):
    on = "on: [push, release, workflow_dispatch]\n"
    text = workflow(
        TO.format(URL.replace("COND", condition)), env=TERNARY.replace("COND", condition), on=on
    )
    assert published(tmp_path, text) == CORRELATED


def test_a_case_that_the_jobs_condition_excludes_is_none(tmp_path):
    text = workflow(PYPA, env=TERNARY.replace("COND", "github.ref == 'refs/heads/main'"))
    text = text.replace("on: {push: {tags: ['v*']}}", "on: push").replace(
        "  go:\n", "  go:\n    if: github.ref == 'refs/heads/main'\n"
    )
    assert published(tmp_path, text) == [("pypi", "sample", "pypi")]


def test_an_environment_with_an_unknown_part_stays_unknown(tmp_path):
    text = workflow(PYPA, env="${{ inputs.env || 'pypi' }}", on="on: workflow_dispatch\n")
    found = survey(repository(tmp_path / "repository", {NAME: text}))
    assert {(each.environment, each.has_unknown_environment) for each in found.publishers} == {
        ("pypi", False),
        (None, True),
    }


def test_many_choices_are_not_multiplied(tmp_path):
    options = ", ".join(f"o{i}" for i in range(40))
    inputs = ", ".join(f"i{k}: {{type: choice, options: [{options}]}}" for k in range(5))
    uses = "".join(f"      - run: echo ${{{{ inputs.i{k} }}}}\n" for k in range(5))
    text = workflow(uses + PYPA, on=f"on: {{workflow_dispatch: {{inputs: {{{inputs}}}}}}}\n")
    assert published(tmp_path, text) == [("pypi", "sample", "pypi")]


# Smaller things that real workflows have.


def test_a_folder_that_is_partly_known_leaves_out_other_folders(tmp_path):
    files = {
        f"{path}/pyproject.toml": f'[project]\nname = "{name}"\n'
        for path, name in (("src/x/one", "one"), ("src/y/two", "two"))
    }
    steps = "      - run: uv publish\n        working-directory: src/x/${{ steps.a.outputs.b }}\n"
    assert published(tmp_path, workflow(steps), files) == [("pypi", "one", "pypi")]


@pytest.mark.parametrize(
    ("script", "builds"),
    [("python build_tools/check_wheels.py", False), ("python tools/build.py", True)],
)
def test_only_the_name_of_a_script_says_that_it_builds(script, builds, tmp_path):
    text = workflow(f"      - run: {script}\n" + PYPA)
    found = survey(repository(tmp_path / "repository", {NAME: text}))
    assert ("builds-with-identity" in {each.rule for each in found.findings}) is builds


def test_a_command_that_is_an_input_of_an_action_is_read(tmp_path):
    step = "      - uses: nick-fields/retry@v3\n        with:\n          command: |\n            twine upload -r testpypi dist/*\n"
    assert published(tmp_path, workflow(step)) == [("testpypi", "sample", "pypi")]
