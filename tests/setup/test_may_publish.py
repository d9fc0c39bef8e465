"""What may publish already is named, and no second workflow is written beside it."""

# ruff: noqa: E501, ISC004 - a file in a line is easier to compare with others

from __future__ import annotations

import pytest

from attested_publish.setup.reading import Deadline
from attested_publish.setup.survey import survey
from attested_publish.setup.writing import why_no_new, write
from support.command import command
from support.repositories import repository

NAME = ".github/workflows/release.yml"
GITLAB = "https://gitlab.com/group/sample.git"
MAKEFILE = "VERSION := 1\n.PHONY: dist\nall: dist\n\ndist: build  # sends it\n\t@python -m twine upload dist/*\n\nbuild:\n\tpython -m build\n\nnotes: ; gh release create v1\n"


def workflow(steps, *, head="", on="on: {push: {tags: ['v*']}}\n"):
    return f"name: Release\n{on}jobs:\n  go:\n    runs-on: ubuntu-latest\n{head}    steps:\n{steps}"


def run(command, more=""):
    return workflow(f"      - run: {command}\n{more}")


def named(root):
    return [(spot.file, spot.line) for spot in survey(root).may_publish]


# Other services.

SERVICES = {
    "CircleCI": (
        ".circleci/config.yml",
        "jobs:\n  pub:\n    steps:\n      - run:\n          command: |\n            pip install twine\n            twine upload dist/*\n",
        7,
    ),
    "CircleCI, in a line": (".circleci/config.yml", "      - run: uv publish\n", 1),
    "Azure Pipelines": ("azure-pipelines.yml", "steps:\n- script: flit publish\n", 2),
    "Azure Pipelines, a template": (
        ".azure-pipelines/release.yml",
        "- bash: |\n    python -m twine upload \\\n      dist/*\n",
        2,
    ),
    "Travis CI's own way": (".travis.yml", "deploy:\n  - provider: pypi\n    user: me\n", 2),
    "Travis CI, a script": (".travis.yml", "after_success: make dist\n", 1),
    "AppVeyor": ("appveyor.yml", "deploy_script:\n  - hatch publish\n", 2),
    "Jenkins": (
        "Jenkinsfile",
        "// twine upload dist/*\nstage('x') {\n  steps {\n    sh 'poetry publish --build'\n  }\n}\n",
        4,
    ),
    "Jenkins, several lines": ("Jenkinsfile", "sh '''\n  pdm publish\n'''\n", 2),
    "Jenkins, an option": ("Jenkinsfile", "sh(script: 'make dist', returnStdout: true)\n", 1),
    "Craft": (".craft.yml", "targets:\n  - name: pypi\n  - name: github\n", 2),
    "Buildkite": (".buildkite/pipeline.yml", 'steps:\n  - command: "maturin upload dist/*"\n', 2),
    "Buildkite, a script": (".buildkite/release.sh", "#!/bin/sh\ntwine upload dist/*\n", 2),
    "Bitbucket Pipelines": (
        "bitbucket-pipelines.yml",
        "pipelines:\n  tags:\n    'v*':\n      - step: {script: [make publish]}\n",
        4,
    ),
    "Bitbucket Pipelines, a list": ("bitbucket-pipelines.yml", "- make publish\n", 1),
    "Forgejo Actions": (".forgejo/workflows/r.yml", "      - run: uv publish\n", 1),
    "setup.py": (".travis.yml", "script: python setup.py sdist upload\n", 1),
    "npm": (".travis.yml", "script: npm run ship\n", 1),
    "semantic-release": (".circleci/config.yml", "      - run: npx semantic-release\n", 1),
    "a script of its own": (".travis.yml", "script: bash ci/deploy.sh\n", 1),
    "a task by its name": (".travis.yml", "script: tox -e release\n", 1),
    "not UTF-8": (".travis.yml", b"script: caf\xe9\n", 1),
}
FILES = {
    "Makefile": MAKEFILE,
    "package.json": '{"scripts": {"ship": "python -m twine upload dist/*"}}',
    "ci/deploy.sh": "#!/bin/sh\nset -e\nmake -C . dist\n",
}


@pytest.mark.parametrize("case", SERVICES.values(), ids=SERVICES)
def test_other_services_that_may_publish_are_named(case, tmp_path):
    name, text, line = case
    root = repository(tmp_path / "repository", {**FILES, name: text})
    assert named(root) == [(name, line)]
    outcome = write(survey(root), offline=True)
    assert outcome.written == []
    assert outcome.refused == ["No workflow is written, as something here may publish already."]


SILENT = {
    "tests": (".travis.yml", "script: tox -e py311\nafter_success: ./upload_coverage.sh\n"),
    "a comment": (".circleci/config.yml", "# - run: twine upload dist/*\n"),
    "a text": (".circleci/config.yml", '- run: echo "twine upload dist/*"\n'),
    "a name": (".circleci/config.yml", "- name: twine upload\n"),
    "a check": (".circleci/config.yml", "- run: twine check dist/*\n"),
    "a dry run": (".circleci/config.yml", "- run: uv publish --dry-run\n"),
    "a private index": (
        "azure-pipelines.yml",
        "- script: twine upload --repository-url https://pypi.example.org/legacy/ dist/*\n",
    ),
    "a task that builds": (".travis.yml", "script: make build\n"),
    "a task that only notes it": (".travis.yml", "script: make notes\n"),
    "npm's own": (".travis.yml", "script: npm publish\n"),
    "an orb": (
        ".circleci/config.yml",
        "    jobs:\n      - docker/publish\n      - docker/publish:\n",
    ),
    "a target of Craft's that is another": (".craft.yml", "targets:\n  - name: github\n"),
    "a name that is no target of Craft's": (".travis.yml", "- name: pypi\n"),
    "another kind of file": (".circleci/README.md", "twine upload dist/*\n"),
}


@pytest.mark.parametrize("case", SILENT.values(), ids=SILENT)
def test_other_services_that_do_not_publish_are_not_named(case, tmp_path):
    name, text = case
    root = repository(tmp_path / "repository", {**FILES, name: text})
    assert named(root) == []
    assert [each.name for each in write(survey(root), offline=True).written] == [NAME]


def test_the_service_is_named_in_what_is_printed(tmp_path):
    root = repository(tmp_path / "repository", {".circleci/config.yml": "- run: uv publish\n"})
    said = " ".join(command("setup", root, "--offline", "--write").stdout.split())
    assert ".circleci/config.yml:1 (CircleCI)" in said
    assert "Nothing here publishes" not in said


def test_another_service_beside_a_workflow_is_named_too(tmp_path):
    step = "      - uses: pypa/gh-action-pypi-publish@release/v1\n"
    files = {
        NAME: workflow(step, head="    permissions: {id-token: write}\n"),
        ".travis.yml": "script: uv publish\n",
    }
    said = " ".join(command("setup", repository(tmp_path / "r", files), "--offline").stdout.split())
    assert "Workflow name: release.yml" in said
    assert "Something else here may publish, too" in said
    assert ".travis.yml:1 (Travis CI)" in said


def test_files_of_other_services_that_were_not_reached_may_publish(tmp_path):
    root = repository(tmp_path / "repository", {".travis.yml": "script: true\n"})
    found = survey(root, deadline=Deadline(0))
    assert [each.file for each in found.may_publish] == [".travis.yml"]
    assert any(".travis.yml was not read" in each for each in found.notices)


@pytest.mark.sample(1)
@pytest.mark.parametrize("remote", [GITLAB, "https://bitbucket.org/group/sample.git"])
def test_no_workflow_is_promised_where_none_would_be_written(remote, tmp_path):
    root = repository(tmp_path / "repository", {}, remote)
    said = command("setup", root, "--offline").stdout
    assert "writes a workflow" not in said
    assert "No pipeline is written" in " ".join(said.split())
    assert why_no_new(survey(root)) in write(survey(root), offline=True).refused


# Tasks that GitHub's jobs run.

TAGS = "on: {push: {tags: ['v*']}}\n"
SCRIPTS = '[project]\nname = "sample"\nversion = "1"\n'
PYPI_TOKEN = "        env: {PYPI_TOKEN: '${{ secrets.PYPI_TOKEN }}'}\n"
TASKS = {
    "make": (run("make all"), {"Makefile": MAKEFILE}),
    "make, the first rule": (run("make"), {"Makefile": MAKEFILE}),
    "make in a folder": (run("make -C py dist"), {"py/Makefile": MAKEFILE}),
    "make of make": (
        run("make ship"),
        {"Makefile": "ship:\n\t$(MAKE) inner\ninner:\n\ttwine upload dist/*\n"},
    ),
    "just": (
        run("just ship"),
        {"justfile": "ship version='1': build\n    @uv publish\nbuild:\n    uv build\n"},
    ),
    "tox": (
        run("tox -e ship"),
        {
            "tox.ini": "[testenv:{check,ship}]\ndeps = twine\ncommands =\n    python -m twine upload {toxinidir}/dist/*\n"
        },
    ),
    "make, in an included file": (
        run("make ship"),
        {"Makefile": "include mk/*.mk\n", "mk/a.mk": "ship:\n\ttwine upload dist/*\n"},
    ),
    "make, in a file that an included one includes": (
        run("make ship"),
        {
            "Makefile": "test:\n\tpytest\n-include a.mk\n",
            "a.mk": "include b.mk  # more\n",
            "b.mk": "ship:\n\ttwine upload dist/*\n",
        },
    ),
    "tox, without a name": (
        run("tox"),
        {
            "tox.ini": "[tox]\nenvlist =\n    py\n    ship\n[testenv:ship]\ncommands =\n  twine upload dist/*\n"
        },
    ),
    "tox run": (
        run("uvx tox run -e ship"),
        {"setup.cfg": "[testenv:ship]\ncommands = twine upload dist/*\n"},
    ),
    "tox, with a factor": (
        run("tox -e py313-ship"),
        {"tox.ini": "[testenv]\ncommands =\n  ship: twine upload dist/*\n"},
    ),
    "tox in pyproject.toml": (
        run("tox -e ship"),
        {
            "pyproject.toml": SCRIPTS
            + '[tool.tox.env.ship]\ncommands = [["twine", "upload", "x"]]\n'
        },
    ),
    "tox.toml, without a name": (
        run("tox"),
        {"tox.toml": 'env_list = ["ship"]\n[env.ship]\ncommands = [["twine", "upload", "x"]]\n'},
    ),
    "hatch's script": (
        run("hatch run ship"),
        {
            "pyproject.toml": SCRIPTS
            + '[tool.hatch.envs.default.scripts]\nship = [\n  "hatch build",\n  "twine upload dist/*",\n]\n'
        },
    ),
    "the script of an environment of hatch's": (
        run("hatch run rel:ship"),
        {"hatch.toml": '[envs.rel.scripts]\nship = "twine upload dist/*"\n'},
    ),
    "PDM's script": (
        run("pdm run ship"),
        {"pyproject.toml": SCRIPTS + '[tool.pdm.scripts]\nship = {cmd = "twine upload dist/*"}\n'},
    ),
    "Poe's task": (
        run("uv run poe ship"),
        {"pyproject.toml": SCRIPTS + '[tool.poe.tasks.ship]\ncmd = "twine upload dist/*"\n'},
    ),
    "nox": (
        run("nox -s ship"),
        {
            "noxfile.py": 'import nox\n@nox.session(name="ship")\ndef send(session):\n    session.run("twine", "upload", "dist/x.whl")\n'
        },
    ),
    "a script": (run("./ci/ship.sh"), {"ci/ship.sh": "#!/bin/sh\ntwine upload dist/*\n"}),
    "a Python script": (
        run("python ci/ship.py"),
        {"ci/ship.py": 'import subprocess\nsubprocess.run(["twine", "upload", "dist/x.whl"])\n'},
    ),
    "setup.py": (run("python setup.py sdist upload"), {}),
    "semantic-release with its plugin": (
        run("npx semantic-release"),
        {".releaserc": '{"plugins": ["semantic-release-pypi"]}'},
    ),
    "semantic-release with a token": (run("npx semantic-release", PYPI_TOKEN), {}),
    "semantic-release with a password": (
        run("semantic-release publish", "        env: {REPOSITORY_PASSWORD: '${{ secrets.X }}'}\n"),
        {},
    ),
    "a program that is given a token": (run("autopub deploy", PYPI_TOKEN), {}),
    "a command that is an input": (
        workflow("      - uses: changesets/action@v1\n        with: {publish: npm run ship}\n"),
        {"package.json": '{"scripts": {"ship": "npm run py", "py": "twine upload dist/*"}}'},
    ),
    "a workflow of others that is given a token": (
        f"name: R\n{TAGS}jobs:\n  go:\n    uses: o/r/.github/workflows/tox.yml@v1\n"
        "    secrets: {token: '${{ secrets.pypi_token }}'}\n",
        {},
    ),
    "the action of python-semantic-release with a token": (
        workflow(
            "      - uses: python-semantic-release/python-semantic-release@v7\n"
            "        with: {repository_password: '${{ secrets.X }}'}\n"
        ),
        {},
    ),
}


@pytest.mark.parametrize("case", TASKS.values(), ids=TASKS)
def test_a_task_that_uploads_is_named_whatever_it_is_called(case, tmp_path):
    text, files = case
    root = repository(tmp_path / "repository", {NAME: text, **files})
    assert [file for file, _ in named(root)] == [NAME]
    assert write(survey(root), offline=True).written == []


IDENTITY = "    environment: pypi\n    permissions: {id-token: write}\n"
HARMLESS = {
    "a script beside one that uploads": (
        run("hatch run test"),
        {
            "pyproject.toml": SCRIPTS
            + '[tool.hatch.envs.default.scripts]\ntest = "pytest"\nship = "twine upload dist/*"\n'
        },
    ),
    "a task beside one that uploads": (
        run("uv run ship"),
        {"pyproject.toml": SCRIPTS + '[tool.poe.tasks]\nother = "twine upload x"\nship = "true"\n'},
    ),
    "tox beside an environment that uploads": (
        run("tox"),
        {
            "tox.ini": "[tox]\nenvlist = py\n[testenv]\ncommands = pytest\n[testenv:ship]\ncommands = twine upload dist/*\n"
        },
    ),
    "tox of another name": (
        run("tox -e py313"),
        {
            "tox.ini": "[testenv]\ncommands = pytest\n[testenv:ship]\ncommands = twine upload dist/*\n"
        },
    ),
    "an included Makefile beside": (
        run("make test"),
        {"Makefile": "include a.mk\ntest:\n\tpytest\n", "a.mk": "ship:\n\ttwine upload x\n"},
    ),
    "make": (run("make notes"), {"Makefile": MAKEFILE}),
    "a release that is only GitHub's": (
        workflow("      - run: make release\n", head=IDENTITY),
        {"Makefile": "release:\n\tgh release create v1\n"},
    ),
    "a script": (
        workflow("      - run: ./release.sh\n", head=IDENTITY),
        {"release.sh": "#!/bin/sh\ngit push --tags\n"},
    ),
    "a password for something else": (
        workflow(
            "      - uses: example/helm@v1\n        with: {repository_password: '${{ secrets.X }}'}\n"
        ),
        {},
    ),
    "an action beside a token for all steps": (
        workflow("      - uses: actions/checkout@v6\n", head=PYPI_TOKEN[4:]),
        {},
    ),
    "a token for an index that is only read": (
        run("pip install x", "        env: {PIP_INDEX_URL: '${{ secrets.PYPI_TOKEN_URL }}'}\n"),
        {},
    ),
    "a workflow that attests": (
        f"name: R\n{TAGS}jobs:\n  go:\n    permissions: {{id-token: write}}\n"
        "    uses: slsa-framework/slsa-github-generator/.github/workflows/g.yml@v2\n",
        {},
    ),
    "an action that publishes on GitHub": (
        workflow("      - uses: python-semantic-release/publish-action@v10\n", head=IDENTITY),
        {},
    ),
    "a task that runs itself": (
        workflow("      - run: make release\n", head=IDENTITY),
        {"Makefile": "release:\n\t$(MAKE) release\n"},
    ),
}


@pytest.mark.parametrize("case", HARMLESS.values(), ids=HARMLESS)
def test_a_task_that_does_not_upload_is_not_named(case, tmp_path):
    text, files = case
    assert named(repository(tmp_path / "repository", {NAME: text, **files})) == []


# Uploads whose condition is never true.

PYPA = "      - uses: pypa/gh-action-pypi-publish@release/v1\n"
NEVER = {
    "a step": workflow(PYPA + "        if: false\n", head=IDENTITY),
    "a job": workflow(PYPA, head=IDENTITY + "    if: ${{ false }}\n"),
    "an event that starts nothing": workflow(
        PYPA, head=IDENTITY + "    if: github.event_name == 'release'\n"
    ),
    "a command": workflow("      - run: uv publish\n        if: false\n", head=IDENTITY),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("text", NEVER.values(), ids=NEVER)
def test_an_upload_that_never_runs_is_named(text, tmp_path):
    root = repository(tmp_path / "repository", {NAME: text})
    found = survey(root)
    assert found.jobs == []
    assert [*found.may_publish.values()] == ["its condition is never true"]
    assert write(found, offline=True).written == []
    assert "condition is never true" in " ".join(command("setup", root, "--offline").stdout.split())


def test_a_step_that_runs_in_one_combination_of_a_matrix_is_not_never_run(tmp_path):
    text = workflow(
        PYPA + "        if: matrix.where == 'a'\n",
        head=IDENTITY + "    strategy: {matrix: {where: [a, b]}}\n",
    )
    found = survey(repository(tmp_path / "repository", {NAME: text}))
    assert found.publishers
    assert not found.may_publish


def test_an_upload_to_a_private_index_that_never_runs_is_not_named(tmp_path):
    text = workflow(
        PYPA
        + "        if: false\n        with: {repository-url: 'https://pypi.example.org/legacy/'}\n"
    )
    assert named(repository(tmp_path / "repository", {NAME: text})) == []


# GitLab.

PIPELINES = {
    "a script called publish": ("x:\n  script:\n    - ./scripts/publish.sh\n", 3),
    "a job called publish": ("publish:\n  script:\n    - ./ci/go.sh\n", 3),
    "a stage called deploy": ("x:\n  stage: deploy\n  script:\n    - make all\n", 4),
    "a Python script in a job called release": ("release:\n  script: [python ci/go.py]\n", 2),
    "a job called publish that extends what is elsewhere": (
        "include: {project: a/b, file: c.yml}\npublish:\n  extends: .python\n",
        2,
    ),
}


@pytest.mark.parametrize("case", PIPELINES.values(), ids=PIPELINES)
def test_what_may_publish_on_gitlab_is_named(case, tmp_path):
    text, line = case
    root = repository(tmp_path / "repository", {".gitlab-ci.yml": text}, GITLAB)
    assert named(root) == [(".gitlab-ci.yml", line)]


def test_a_job_that_deploys_beside_one_that_publishes_is_not_named(tmp_path):
    text = "pypi:\n  stage: deploy\n  script: [uv publish]\ndocker:\n  stage: deploy\n  script: [make image]\n"
    assert named(repository(tmp_path / "repository", {".gitlab-ci.yml": text}, GITLAB)) == []


@pytest.mark.parametrize(
    "text",
    [
        "test:\n  script: [./ci/go.sh]\n",
        "publish:\n  script: [echo done]\n",
        "deploy:\n  script: [./ci/pages.sh]\n",
        "deploy:\n  script: [kubectl apply -f x.yml]\n",
    ],
)
def test_what_does_not_publish_on_gitlab_is_not_named(text, tmp_path):
    files = {".gitlab-ci.yml": text, "ci/pages.sh": "#!/bin/sh\nmkdocs build\n"}
    assert named(repository(tmp_path / "repository", files, GITLAB)) == []
