"""What is read of repositories that are large, odd, or on GitLab; what is not known stays so."""

# ruff: noqa: E501, ISC004 - a file in a line is easier to compare with others

from __future__ import annotations

import json
import os
import re
import time

import pytest

from attested_publish.setup.reading import Deadline
from attested_publish.setup.remote import parse, remote_of
from attested_publish.setup.survey import survey
from attested_publish.setup.writing import write
from support.command import command
from support.repositories import REMOTE, git, repository

NAME = ".github/workflows/release.yml"
IDENTITY = "    permissions: {id-token: write}\n"
PYPA = "      - uses: pypa/gh-action-pypi-publish@release/v1\n"
GITLAB = "https://gitlab.com/group/sub/sample.git"
ID = "  id_tokens: {PYPI_ID_TOKEN: {aud: pypi}}\n"
TAGS = "  rules: [{if: $CI_COMMIT_TAG}]\n"
UPLOAD = "  script: [twine upload dist/*]\n"


def job(steps=PYPA, *, name="publish", env="pypi", more=IDENTITY):
    environment = f"    environment: {env}\n" if env else ""
    return f"  {name}:\n    runs-on: ubuntu-latest\n{environment}{more}    steps:\n{steps}"


def workflow(*jobs, on="on: {push: {tags: ['v*']}}\n", head=""):
    return f"name: Release\n{on}{head}jobs:\n" + "".join(jobs)


def read(tmp_path, files, remote=REMOTE, **more):
    return survey(repository(tmp_path / "repository", files, remote), **more)


def in_a_job(summary):
    return {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}


def environments(found):
    return [(each.index, each.environment) for each in found.publishers]


def rules(found):
    return {each.rule for each in found.findings}


# Small files take little time.

AXIS = ",".join(map(str, range(16)))
MATRIX = f"    strategy: {{matrix: {{a: [{AXIS}], b: [{AXIS}]}}}}\n"
LARGE = {
    "a matrix of which little is mentioned": workflow(
        job("      - run: twine upload ${{ matrix.a }}\n" * 200, more=MATRIX)
    ),
    "a matrix of which all is mentioned": workflow(
        job("      - run: twine upload ${{ matrix.a }}/${{ matrix.b }}\n" * 100, more=MATRIX)
    ),
    "jobs that need each other": workflow(
        *(
            job(
                "      - run: twine upload\n",
                name=f"j{i}",
                more=f"    if: github.ref != 'x{i}'\n"
                f"    needs: [{','.join(f'j{k}' for k in range(max(0, i - 40), i))}]\n",
            )
            for i in range(300)
        ),
        on="on: [push, push, issue_comment]\n",
    ),
    "calls that are the same": workflow(
        *(f"  c{i}:\n    uses: ./.github/workflows/release.yml\n" for i in range(8)),
        job(),
        on="on: {push: , workflow_call: }\n",
    ),
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_small_files_take_little_time(text, tmp_path):
    root = repository(tmp_path, {NAME: text})
    begun = time.process_time()
    found = survey(root)
    assert time.process_time() - begun < 8
    assert found.publishers
    assert found.notices == []


@pytest.mark.parametrize(
    "text",
    [
        "".join(f".a{i}:\n  script: [{f'!reference [.a{i + 1}, script],' * 9}]\n" for i in range(9))
        + ".a9: {script: [echo]}\npub:\n  script: [!reference [.a0, script], uv publish]\n",
        "".join(f".a{i}:\n  extends: [{f'.a{i + 1},' * 9}]\n" for i in range(40))
        + ".a40: {script: [uv publish]}\npub: {extends: .a0}\n",
        "variables:\n"
        + "".join(f"  V{i}: {f'$V{i + 1}' * 90}\n" for i in range(9))
        + "pub: {environment: $V0, script: [uv publish]}\n",
        f"include: [{'.gitlab-ci.yml,' * 90}]\npub: {{script: [uv publish]}}\n",
        f"t: {{trigger: {{include: [{'.gitlab-ci.yml,' * 9}]}}}}\npub: {{script: [uv publish]}}\n",
    ],
    ids=["references", "extends", "variables", "includes", "child pipelines"],
)
def test_pipelines_that_multiply_take_little_time(text, tmp_path):
    root = repository(tmp_path, {".gitlab-ci.yml": text}, GITLAB)
    begun = time.process_time()
    survey(root)
    assert time.process_time() - begun < 8


def test_after_the_deadline_it_is_said_what_was_not_looked_at(tmp_path):
    files = {NAME: workflow(job()), "a/pyproject.toml": "", ".gitlab-ci.yml": "pub: {script: [x]}"}
    found = read(tmp_path, files, deadline=Deadline(0))
    assert found.publishers == []
    said = " ".join(found.notices)
    assert NAME in said
    assert ".gitlab-ci.yml" in said
    assert re.search(r"\ba was not read", said)
    assert [each.file for each in found.may_publish] == [NAME, ".gitlab-ci.yml"]


def test_a_matrix_that_github_refuses_is_not_known(tmp_path):
    axes = ", ".join(f"k{i}: [{AXIS}]" for i in range(12))
    text = workflow(
        job(env="e${{ matrix.k1 }}", more=f"    strategy: {{matrix: {{{axes}}}}}\n" + IDENTITY)
    )
    assert environments(read(tmp_path, {NAME: text})) == [("pypi", None)]


# Names.


def write_odd(path, content):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    except (OSError, ValueError):
        pytest.skip("the file system has only names in UTF-8")


@pytest.mark.parametrize("name", [b".github/workflows/caf\xe9.yml", b"caf\xe9/pyproject.toml"])
def test_a_name_that_is_not_utf_8_is_noted(name, tmp_path):
    root = repository(tmp_path / "repository", {NAME: workflow(job())})
    content = '[project]\nname = "other"\n' if name.endswith(b"toml") else workflow(job())
    write_odd(root / os.fsdecode(name), content)
    done = command("setup", root, "--offline", "--report", tmp_path / "report.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not UTF-8" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert [each["workflow"] for each in report["publishers"]] == ["release.yml"]


@pytest.mark.parametrize(
    "text",
    [
        workflow(job(env='"\\ud800"')),
        workflow(job(env="${{ fromJSON('\"\\ud800\"') }}")),
        workflow(job('      - uses: "./\\ud800"\n' + PYPA)),
    ],
)
def test_half_a_character_stops_nothing(text, tmp_path):
    root = repository(tmp_path / "repository", {NAME: text})
    done = command("setup", root, "--offline", "--report", tmp_path / "report.json")
    assert "unexpected" not in done.stdout
    (publisher,) = json.loads((tmp_path / "report.json").read_text())["publishers"]
    assert "\ud800" not in (publisher["environment"] or "")


# Remotes.


def configured(tmp_path, text, remote=None):
    root = repository(tmp_path, {}, remote)
    with (root / ".git/config").open("a") as file:
        file.write(text)
    remote, sentence = remote_of(root)
    return (remote and remote.path), sentence


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[remote "origin"]\n\turl = https://github.com/o/r # main\n', "o/r"),
        ('[remote "origin"] url = "https://github.com/o/r" ; main\n', "o/r"),
        ('[remote "origin"]\n\turl = https://github.com/\\\no/r\n', "o/r"),
        ("[remote.origin]\n\turl = https://github.com/o/r\n", "o/r"),
        ('[url "https://github.com/"]\ninsteadOf = gh:\n[remote "origin"]\nurl = gh:o/r\n', "o/r"),
        (
            '[url "git@github.com:"]\npushInsteadOf = gh:\n[remote "origin"]\nurl = gh:o/r\n',
            "o/r",
        ),
        (
            '[url "https://gitlab.com/"]\ninsteadOf = x:\n[url "https://github.com/o/"]\n'
            'insteadOf = x:y/\n[remote "origin"]\nurl = x:y/r\n',
            "o/r",
        ),
    ],
)
def test_the_configuration_of_git(text, path, tmp_path):
    assert configured(tmp_path, text) == (path, None)


def test_it_is_said_which_of_several_remotes_was_taken(tmp_path):
    upstream = '[remote "upstream"]\nurl = https://github.com/real/sample\n'
    path, sentence = configured(tmp_path / "a", upstream, "https://github.com/me/sample")
    assert path == "me/sample"
    assert "origin (me/sample) was taken, not upstream (real/sample)" in sentence
    path, sentence = configured(
        tmp_path / "b", upstream + '[remote "fork"]\nurl = https://github.com/me/sample\n'
    )
    assert path == "real/sample"
    assert "not fork (me/sample)" in sentence
    same = '[remote "upstream"]\nurl = git@github.com:me/sample.git\n'
    assert configured(tmp_path / "c", same, "https://github.com/me/sample")[1] is None


def test_whose_repository_it_is_is_no_secret(tmp_path):
    name = "octo-organization-bot"
    root = repository(
        tmp_path / "repository",
        {NAME: workflow(job())},
        f"https://{name}@github.com/{name}/sample",
    )
    done = command("setup", root, "--offline", "--report", tmp_path / "report.json")
    (publisher,) = json.loads((tmp_path / "report.json").read_text())["publishers"]
    assert publisher["owner"] == name
    assert f"Owner: {name}" in done.stdout
    assert "***" not in done.stdout


def test_a_field_that_is_masked_is_said_to_be(tmp_path):
    root = repository(
        tmp_path / "repository",
        {NAME: workflow(job())},
        "https://x-access-token:sample@github.com/octo-org/other",
    )
    done = command("setup", root, "--offline")
    assert "*** is shown, and in the link, in place of: PyPI project name." in done.stdout


def test_a_token_alone_stays_secret():
    from attested_publish.net.secrecy import blotted

    token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    parse(f"https://{token}@github.com/octo-org/sample")
    assert token not in blotted(f"with {token} in it")


# GitLab.

PIPELINES = {
    "only an include": (
        "include: {local: /ci/pub.yml}\n",
        {"ci/pub.yml": f"pub:\n  environment: pypi\n{ID}{TAGS}{UPLOAD}"},
        [("pypi", "pypi")],
        set(),
    ),
    "extends from an included file": (
        "include: ci/base.yml\npublish:\n  extends: .deploy\n  script: [uv publish]\n",
        {"ci/base.yml": f".deploy:\n  environment: pypi\n{ID}{TAGS}"},
        [("pypi", "pypi")],
        set(),
    ),
    "extends what is not here": (
        "publish:\n  extends: .deploy\n  script: [uv publish]\n",
        {},
        [("pypi", None)],
        set(),
    ),
    "an include by pattern": (
        "include: [{local: '/ci/**/*.yml'}]\n",
        {"ci/deep/er/pub.yml": f"pub:\n  environment: pypi\n{ID}{TAGS}{UPLOAD}"},
        [("pypi", "pypi")],
        set(),
    ),
    "a child pipeline": (
        f"start:\n{TAGS}  variables: {{TARGET: pypi}}\n  trigger: {{include: [{{local: c.yml}}]}}\n",
        {"c.yml": f"pub:\n  environment: $TARGET\n{ID}{UPLOAD}"},
        [("pypi", "pypi")],
        set(),
    ),
    "a child pipeline from any branch": (
        "start: {trigger: {include: c.yml}}\n",
        {"c.yml": f"pub:\n  environment: pypi\n{ID}{UPLOAD}"},
        [("pypi", "pypi")],
        {"any-branch"},
    ),
    "an input": (
        "spec:\n  inputs:\n    env: {default: pypi}\n---\n"
        f"pub:\n  environment: $[[ inputs.env ]]\n{ID}{TAGS}{UPLOAD}",
        {},
        [("pypi", None)],
        set(),
    ),
    "an input that the include gives": (
        "include: [{local: p.yml, inputs: {env: live}}]\n",
        {
            "p.yml": "spec: {inputs: {env: {default: pypi}, where: {default: testpypi}}}\n---\n"
            f"pub:\n  environment: $[[ inputs.env ]]\n{ID}{TAGS}"
            "  script:\n  - twine upload -r $[[ inputs.where ]] dist/*\n"
        },
        [("testpypi", "live")],
        set(),
    ),
    "an input through a function": (
        "include: [{local: p.yml, inputs: {env: live}}]\n",
        {
            "p.yml": "spec: {inputs: {env: {}}}\n---\n"
            f"pub:\n  environment: $[[ inputs.env | truncate(0,1) ]]\n{ID}{TAGS}{UPLOAD}"
        },
        [("pypi", None)],
        set(),
    ),
    "rules by reference": (
        f".r:\n{TAGS}pub:\n  environment: pypi\n{ID}  rules: [!reference [.r, rules]]\n{UPLOAD}",
        {},
        [("pypi", "pypi")],
        set(),
    ),
    "rules by a reference to what is not here": (
        f"pub:\n  environment: pypi\n{ID}  rules: [!reference [.r, rules]]\n{UPLOAD}",
        {},
        [("pypi", "pypi")],
        set(),
    ),
    "rules by reference that ask nothing": (
        f".r:\n  rules: [{{when: manual}}]\npub:\n  environment: pypi\n{ID}"
        f"  rules: [!reference [.r, rules]]\n{UPLOAD}",
        {},
        [("pypi", "pypi")],
        {"any-branch"},
    ),
    "an environment by reference": (
        f".e: {{environment: pypi}}\npub:\n  environment: !reference [.e, environment]\n{ID}{TAGS}{UPLOAD}",
        {},
        [("pypi", "pypi")],
        set(),
    ),
    "an environment by a reference to what is not here": (
        f"pub:\n  environment: !reference [.e, environment]\n{ID}{TAGS}{UPLOAD}",
        {},
        [("pypi", None)],
        set(),
    ),
    "a matrix": (
        f"pub:\n  environment: $TARGET\n{ID}{TAGS}  parallel: {{matrix: [{{TARGET: [pypi, testpypi]}}]}}\n"
        "  script: [twine upload -r $TARGET dist/*]\n",
        {},
        [("pypi", "pypi"), ("testpypi", "testpypi")],
        set(),
    ),
    "a variable that rules change": (
        f"variables: {{TARGET: live}}\npub:\n  environment: $TARGET\n{ID}{UPLOAD}"
        "  rules: [{if: $CI_COMMIT_TAG, variables: {TARGET: other}}]\n",
        {},
        [("pypi", None)],
        set(),
    ),
}


@pytest.mark.parametrize("case", PIPELINES.values(), ids=PIPELINES)
def test_pipelines(case, tmp_path):
    text, files, expected, wrong = case
    found = read(tmp_path, {".gitlab-ci.yml": text, **files}, GITLAB)
    assert sorted(environments(found), key=str) == expected
    assert rules(found) == wrong
    assert found.notices == []
    assert [each.has_unknown_environment for each in found.publishers] == [
        environment is None for _, environment in environments(found)
    ]


def test_includes_from_elsewhere_are_named(tmp_path):
    text = (
        "include:\n- {remote: 'https://example.org/x.yml'}\n- {project: a/b, file: c.yml}\n"
        "- {component: gitlab.com/x/pypi@1}\n- {local: $FILE}\n- missing.yml\n"
        "t: {trigger: {include: [{artifact: made.yml, job: make}]}}\n"
    )
    found = read(tmp_path, {".gitlab-ci.yml": text}, GITLAB)
    said = " ".join(found.notices)
    for what in ("remote https", "project a/b", "component", "local $FILE", "artifact made.yml"):
        assert what in said
    assert "missing.yml was not read" in said
    assert 4 in {each.line for each in found.may_publish}


# What may publish.

MAY = {
    **{
        command: (workflow(job(f"      - run: {command}\n")), 9)
        for command in (
            "make publish",
            "tox -e publish",
            "uvx nox -s release",
            "just publish",
            "hatch run release:publish",
            "./scripts/publish.sh",
            "bash scripts/release.sh",
            "python scripts/upload_to_pypi.py",
            "uv run publish",
            "sh -c 'make release'",
        )
    },
    "by the environment": (workflow(job("      - run: make release\n", more="")), 8),
    "an action of others": (workflow(job("      - uses: someone/upload-to-pypi@v1\n")), 9),
    "a workflow of others": (
        workflow("  call:\n    uses: o/r/.github/workflows/x.yml@main\n" + IDENTITY),
        5,
    ),
    "broken": (workflow(job()) + "  x: [\n", 1),
}


@pytest.mark.parametrize(("text", "line"), MAY.values(), ids=MAY)
def test_what_may_publish_is_named_and_nothing_is_written(text, line, tmp_path):
    root = repository(tmp_path / "repository", {NAME: text})
    found = survey(root)
    assert [(each.file, each.line) for each in found.may_publish] == [(NAME, line)]
    assert write(found, offline=True).refused
    assert [each.name for each in (root / ".github/workflows").iterdir()] == ["release.yml"]


def test_what_may_publish_is_printed_and_in_the_summary(tmp_path):
    root = repository(tmp_path / "repository", {NAME: MAY["make publish"][0]})
    summary = tmp_path / "summary.md"
    done = command("setup", root, "--offline", **in_a_job(summary))
    for said in (done.stdout, summary.read_text()):
        assert "cannot look into it" in said
        assert "Nothing here publishes" not in said
    done = command("setup", root, "--offline", "--write")
    assert done.returncode == 1


NOT = {
    "no identity": workflow(job("      - run: make publish\n", env="", more="")),
    "other tasks": workflow(
        job("      - run: make all\n      - run: uv run pytest test_publish\n")
    ),
    "only a text": workflow(job("      - run: cat docs/release.md; echo make publish\n")),
    "broken, of a linter": "on: push\njobs:\n  lint: [\n# ./x\n",
}


@pytest.mark.parametrize("text", NOT.values(), ids=NOT)
def test_what_does_not_look_like_publishing(text, tmp_path):
    assert read(tmp_path, {NAME: text}).may_publish == {}


def test_may_publish_on_gitlab(tmp_path):
    text = f"pub:\n  environment: pypi\n{ID}  script:\n  - make publish\n"
    found = read(tmp_path, {".gitlab-ci.yml": text}, GITLAB)
    assert [(each.file, each.line) for each in found.may_publish] == [(".gitlab-ci.yml", 5)]


# What is not known, and what cannot work.


def test_an_environment_of_the_run_is_shown_as_not_known(tmp_path):
    text = workflow(
        job(env="${{ inputs.env }}"), on="on: {workflow_dispatch: {inputs: {env: {}}}}\n"
    )
    root = repository(tmp_path / "repository", {NAME: text})
    report, summary = tmp_path / "report.json", tmp_path / "summary.md"
    done = command("setup", root, "--offline", "--report", report, **in_a_job(summary))
    assert "Environment name: (not known)" in done.stdout
    assert "workflow_filename" not in done.stdout
    assert "| release.yml | not known |" in summary.read_text()
    assert "workflow_filename" not in summary.read_text()
    (publisher,) = json.loads(report.read_text())["publishers"]
    assert publisher["environment"] is publisher["url"] is None
    assert set(publisher) == {
        *("index", "project", "pending", "provider", "owner", "repository", "workflow"),
        *("environment", "url"),
    }
    none = repository(tmp_path / "none", {NAME: workflow(job(env=""))})
    assert "Environment name: (leave empty)" in command("setup", none, "--offline").stdout


CONTENTS = "    permissions: {contents: read}\n"
LOCKED_OUT = {
    "pypa": workflow(job(more=CONTENTS)),
    "no permissions at all": workflow(job(more="")),
    "uv": workflow(job("      - run: uv publish\n", more=CONTENTS)),
    "a workflow that is called without": workflow(
        "  call:\n    uses: ./.github/workflows/inner.yml\n"
    ),
}
INNER = {".github/workflows/inner.yml": workflow(job(more=""), on="on: workflow_call\n")}


@pytest.mark.parametrize("text", LOCKED_OUT.values(), ids=LOCKED_OUT)
def test_a_job_that_gets_no_token_fails_the_rehearsal(text, tmp_path):
    root = repository(tmp_path / "repository", {NAME: text, **INNER})
    done = command("setup", root, "--offline")
    assert done.returncode == 1, done.stdout
    assert "may not request an identity token" in done.stdout
    assert "id-token: write" in done.stdout
    assert "Rehearsed" not in done.stdout


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (workflow(job(more=""), on="on: workflow_call\n"), NAME),
        (workflow(job(PYPA + "        with: {password: '${{ secrets.P }}'}\n", more="")), NAME),
        (
            workflow(
                job(
                    "      - run: uv publish -t $T\n        env: {T: '${{ secrets.T }}'}\n", more=""
                )
            ),
            NAME,
        ),
        (f"pub:\n  environment: pypi\n{TAGS}{UPLOAD}", ".gitlab-ci.yml"),
    ],
    ids=["inherited", "a password", "a token", "GitLab's variables"],
)
def test_a_job_that_may_get_a_token_does_not(text, name, tmp_path):
    found = read(tmp_path, {name: text}, GITLAB if name != NAME else REMOTE)
    assert found.jobs
    assert not any(each.is_locked_out for each in found.jobs)


# Smaller things.


def test_a_workflow_that_is_started_and_could_be_called(tmp_path):
    text = workflow(job(), on="on: {push: {tags: ['v*']}, workflow_call: }\n")
    assert "reusable-workflow" not in rules(read(tmp_path / "a", {NAME: text}))
    caller = workflow(
        "  call:\n    uses: ./.github/workflows/release.yml\n" + IDENTITY,
        on="on: {release: {types: [published]}}\n",
    )
    files = {NAME: text, ".github/workflows/caller.yml": caller}
    assert "reusable-workflow" in rules(read(tmp_path / "b", files))


@pytest.mark.parametrize(
    ("branches", "is_any"),
    [
        ("['**', '!gh-pages']", True),
        ("['!gh-pages', '**']", True),
        ("['**', '!**', main]", False),
        ("[main, 'releases/**']", False),
    ],
)
def test_patterns_of_branches(branches, is_any, tmp_path):
    text = workflow(job(), on=f"on: {{push: {{branches: {branches}}}}}\n")
    assert ("any-branch" in rules(read(tmp_path, {NAME: text}))) is is_any


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"pyproject.toml": "[tool.black]\n"}, "pyproject.toml has no project's name"),
        (
            {
                "pyproject.toml": '[project]\nname = "s"\nclassifiers = '
                '["Private :: Do Not Upload"]\n'
            },
            "pyproject.toml has the classifier",
        ),
    ],
)
def test_why_there_is_no_project(files, why, tmp_path):
    (refused,) = write(read(tmp_path, files), offline=True).refused
    assert why in refused


def test_why_there_is_no_project_without_any_file(tmp_path):
    root = repository(tmp_path, {})
    git(root, "rm", "--quiet", "pyproject.toml")
    (refused,) = write(survey(root), offline=True).refused
    assert "no pyproject.toml, setup.cfg or setup.py was found" in refused


def test_an_image_is_named_as_a_whole(tmp_path):
    image = "docker://ghcr.io/pypa/gh-action-pypi-publish:release-v1"
    root = repository(tmp_path, {NAME: workflow(job(f"      - uses: {image}\n"))})
    said = " ".join(command("setup", root, "--offline").stdout.split())
    assert f"{image} is not pinned by a commit" in said
