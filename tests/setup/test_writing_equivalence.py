"""`setup --write` where a script, a condition or a shared step hides what it depends on."""

from __future__ import annotations

import pytest

from attested_publish.setup.scripts import is_harmless
from attested_publish.setup.survey import survey
from attested_publish.setup.writing import write
from support.command import command
from support.repositories import repository

pytestmark = pytest.mark.sample(3)


NAME = ".github/workflows/release.yml"
SECRET = "${{ secrets.PYPI_API_TOKEN }}"
HEAD = 'on:\n  push: {tags: ["v*"]}\njobs:\n'
JOB = """\
  publish:
    runs-on: RUNNER
    environment: pypi
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@v6
STEPS"""
GIVEN = "    permissions:\n      contents: read\n"
ENV = f"        env:\n          TWINE_USERNAME: __token__\n          TWINE_PASSWORD: {SECRET}\n"


def workflow(steps, *, head="", runner="ubuntu-latest"):
    return head + HEAD + JOB.replace("RUNNER", runner).replace("STEPS", steps)


def step(script, *, entries=(), env=ENV):
    lines = "".join(f"        {line}\n" for line in entries)
    indented = "".join(f"          {line}\n" for line in script.splitlines())
    return f"      - name: Publish\n{lines}{env}        run: |\n{indented}"


def written(folder, text, **others):
    """Write over a workflow; give its text afterwards, and what was said."""
    root = repository(folder, {NAME: text, **others})
    outcome = write(survey(root), offline=True)
    return (root / NAME).read_text(), outcome


def stays(folder, text, why, **others):
    """Check that a workflow is refused, in one sentence that has one of these texts."""
    after, outcome = written(folder, text, **others)
    assert after == text
    (said,) = outcome.refused
    assert any(each in said for each in why.split("|")), said


LONGER = "make -C native\ntwine upload dist/*"


@pytest.mark.parametrize(
    "options",
    [
        f"-u __token__ -p {SECRET}",
        f'--username=__token__ --password="{SECRET}"',
        f"--username ${{{{ secrets.USER }}}} --password '{SECRET}'",
    ],
)
def test_a_secret_that_is_written_into_the_command_goes_with_it(tmp_path, options):
    script = f"pip install twine\ntwine upload {options} dist/*"
    after, outcome = written(tmp_path, workflow(step(script, env="")))
    assert not outcome.refused
    assert "secrets." not in after
    assert "twine" not in after


@pytest.mark.parametrize(
    "script",
    [
        f"twine upload -p {SECRET} ${{{{ inputs.files }}}}",
        f"twine upload -p {SECRET} {SECRET}/*",
        f"twine upload -p {SECRET}x dist/*",
        f"echo {SECRET}\ntwine upload -p {SECRET} dist/*",
    ],
)
def test_another_expression_in_the_script_stays(tmp_path, script):
    stays(tmp_path, workflow(step(script, env="")), "expression is in the script, on line 1")


@pytest.mark.parametrize(
    "condition",
    ["always()", "'!cancelled()'", "failure() || success()", "hashFiles('dist/*') != ''"],
)
def test_conditions_that_ask_how_the_job_went_are_not_doubled(tmp_path, condition):
    stays(tmp_path, workflow(step(LONGER, entries=[f"if: {condition}"])), "'if'")


def test_a_step_that_others_ask_about_is_not_divided(tmp_path):
    stays(tmp_path, workflow(step(LONGER, entries=["id: upload"])), "'id'")


@pytest.mark.sample(4)
@pytest.mark.parametrize("place", ["workflow", "job", "step"])
@pytest.mark.parametrize("shell", ["bash {0}", "pwsh", "bash --noprofile {0}"])
def test_a_shell_that_goes_on_after_errors_is_not_divided(tmp_path, place, shell):
    if place == "step":
        text = workflow(step(LONGER, entries=[f"shell: {shell}"]))
    else:
        defaults = f"defaults:\n  run:\n    shell: {shell}\n"
        text = workflow(step(LONGER), head=defaults if place == "workflow" else "")
        if place == "job":
            inner = "".join(f"    {line}\n" for line in defaults.splitlines())
            text = text.replace("    steps:\n", f"{inner}    steps:\n")
    stays(tmp_path, text, "longer|shell")


@pytest.mark.parametrize("runner", ["windows-latest", "${{ matrix.os }}", "[self-hosted, x64]"])
def test_the_shell_of_the_runner_has_to_be_known(tmp_path, runner):
    text = workflow(step(LONGER), runner=runner)
    stays(tmp_path / "unknown", text, "shell")
    known = workflow(step(LONGER, entries=["shell: bash"]), runner=runner)
    _, outcome = written(tmp_path / "known", known)
    assert not outcome.refused


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    "line",
    [
        "${{ inputs.prepare }}",
        "echo ${{ github.ref_name }}",
        "$PREPARE dist",
        '"exit" 0',
        'ex""it 0',
        'echo \\" ; exit 0 #"',
        "e\\xit 0",
        "make docs &",
        "VERSION=$(git describe --tags)",
        "TWINE_CERT=$(cat where it is)",
        "`cat prepare`",
        "$(cat prepare)",
        "set -a",
        "set -n",
        "echo X=1 | tee -a ${GITHUB_ENV}",
        "sh -c 'echo /x >> $GITHUB_PATH'",
        "FILE=$GITHUB_ENV make env",
        '[ -n "$TAG" ] && exit',
        "env -i exit 0 && \\exit 0",
        "DIR=x cd python",
    ],
)
def test_lines_that_may_decide_about_the_upload_stay_with_it(tmp_path, line):
    stays(tmp_path, workflow(step(f"{line}\ntwine upload dist/*")), "line 16|expression")


@pytest.mark.sample(5)
@pytest.mark.parametrize(
    ("command_", "why"),
    [
        ("twine upload --config-file other.pypirc dist/*", "--config-file"),
        ("twine upload --comment x dist/*", "--comment"),
        ("twine upload -s dist/*", "-s"),
        ("UV_PUBLISH_TOKEN=x uv publish --directory x", "longer"),
        ("uv publish --token pypi-AgEIcHlwaS5vcmc --directory x", "--directory"),
        ("twine upload /tmp/dist/*", "outside"),
        ("twine upload ~/dist/*", "outside"),
        ("twine upload ../dist/*", "outside"),
        ('twine upload "it\'s/*"', "characters"),
        ('twine upload "dist #1/*"', "characters|longer"),
        ("twine upload dist/*.{whl,gz}", "characters|longer"),
    ],
)
def test_commands_that_mean_more_stay(tmp_path, command_, why):
    stays(tmp_path, workflow(step(command_)), why)


@pytest.mark.parametrize(
    "run",
    [
        '"twine upload dist/*\\ncurl https://hooks.example"',
        ">\n          twine upload dist/*\n\n          rm -rf dist",
        "twine upload dist/*\n\n          rm -rf dist",
        "'twine upload dist/*\n\n          rm -rf dist'",
    ],
)
def test_lines_that_yaml_makes_count(tmp_path, run):
    text = workflow(step("SCRIPT").replace("|\n          SCRIPT", run))
    stays(tmp_path, text, "longer")


def test_a_reusable_workflow_keeps_its_token(tmp_path):
    text = workflow(step("twine upload dist/*")).replace('push: {tags: ["v*"]}', "workflow_call:")
    text = text.replace("contents: read", "contents: read\n      id-token: write")
    caller = "on: push\njobs:\n  call:\n    uses: ./.github/workflows/release.yml\n"
    caller += "    permissions: {contents: read, id-token: write}\n    secrets: inherit\n"
    root = repository(tmp_path, {NAME: text, ".github/workflows/ci.yml": caller})
    outcome = write(survey(root), offline=True)
    assert "reusable" in outcome.refused[0]
    assert (root / NAME).read_text() == text


MATRIX = """\
    strategy:
      matrix:
        repository: [testpypi, pypi]
"""


@pytest.mark.parametrize("script", ["twine check dist/*\nUPLOAD", "UPLOAD"])
def test_a_step_that_differs_between_combinations_stays(tmp_path, script):
    upload = "twine upload -r ${{ matrix.repository }} dist/*"
    text = workflow(step(script.replace("UPLOAD", upload)))
    text = text.replace("    steps:\n", f"{MATRIX}    steps:\n")
    stays(tmp_path, text, "expression")


def test_a_step_that_another_job_uses_for_another_index_stays(tmp_path):
    action = f"""\
name: Upload
inputs: {{url: {{default: "https://upload.pypi.org/legacy/"}}}}
runs:
  using: composite
  steps:
    - run: twine upload --repository-url "$URL" dist/*
      shell: bash
      env:
        TWINE_PASSWORD: {SECRET}
        URL: ${{{{ inputs.url }}}}
"""
    nexus = "        with: {url: https://nexus.example/pypi/}\n"
    text = workflow("      - uses: ./.github/upload\n")
    text += f"""\
  internal:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: ./.github/upload
{nexus}"""
    name = ".github/upload/action.yml"
    root = repository(tmp_path, {NAME: text, name: action})
    outcome = write(survey(root), offline=True)
    assert not outcome.written
    assert outcome.refused
    assert (root / name).read_text() == action


@pytest.mark.parametrize(
    "user",
    [
        "if: env.TWINE_PASSWORD != ''",
        "if: env['TWINE_PASSWORD'] != ''",
        "env: {X: '${{ env.TWINE_PASSWORD }}'}",
    ],
)
def test_a_variable_that_an_expression_asks_for_is_not_removed(tmp_path, user):
    head = f"env:\n  TWINE_PASSWORD: {SECRET}\n"
    steps = f"      - run: twine upload dist/*\n      - run: ls dist\n        {user}\n"
    stays(tmp_path, workflow(steps, head=head), "asks for")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo hi && curl https://x.example", False),
        ("ls; gh release create v1", False),
        ('echo "$(gh release create v1)"', False),
        ("echo `gh release create v1`", False),
        ("cat notes | gh release create v1 -F -", False),
        ("echo ${{ steps.x.outputs.command }}", False),
        ("bash -c 'gh release create v1'", False),
        ("python -m build\ntwine check --strict dist/*", True),
    ],
)
def test_every_command_of_a_line_counts(script, expected):
    assert is_harmless(script) is expected


PYPA = f"""\
      - uses: pypa/gh-action-pypi-publish@release/v1
        with:
          password: {SECRET}
"""


@pytest.mark.parametrize(
    "where",
    [
        "      - uses: actions/download-artifact@v5\n        with:\n          run-id: 1\n",
        """\
    container:
      image: ghcr.io/o/i
      credentials: {username: x, password: "${{ github.token }}"}
""",
    ],
)
def test_permissions_that_are_used_without_a_command_stay(tmp_path, where):
    text = workflow(f"{where}{PYPA}" if where.startswith("      -") else PYPA).replace(GIVEN, "")
    if not where.startswith("      -"):
        text = text.replace("    steps:\n", f"{where}    steps:\n")
    stays(tmp_path, text, "may need permissions")


def test_comments_of_what_is_replaced_stay(tmp_path):
    text = workflow(PYPA.replace("release/v1", "release/v1 # ask Ann first"))
    after, _ = written(tmp_path / "pypa", text)
    assert "# ask Ann first" in after
    text = workflow(step("# never on Fridays\ntwine upload dist/*"))
    after, _ = written(tmp_path / "twine", text)
    assert "# never on Fridays" in after
    pinned = workflow(PYPA.replace("release/v1", "release/v1 # v1.13.0"))
    after, _ = written(tmp_path / "pinned", pinned)
    assert "v1.13.0" not in after


def test_what_a_later_step_may_need_stays_installed(tmp_path):
    script = step("pip install twine\ntwine upload dist/*")
    after, outcome = written(
        tmp_path / "used", workflow(f"{script}      - run: twine check out/*\n")
    )
    assert not outcome.refused
    assert "pip install twine" in after
    after, outcome = written(tmp_path / "unused", workflow(f"{script}      - run: echo done\n"))
    assert not outcome.refused
    assert "pip install twine" not in after


@pytest.mark.sample(1)
@pytest.mark.parametrize("is_new", [True, False])
def test_what_is_no_secret_is_not_masked(tmp_path, is_new):
    other = (
        "on: push\npermissions: {id-token: write}\njobs:\n  a:\n    runs-on: ubuntu-latest\n"
        "    steps:\n      - uses: some/action@v1\n        with: {print-token-name: publish}\n"
    )
    files = {".github/workflows/ci.yml": other}
    if not is_new:
        files[NAME] = workflow(PYPA)
    root = repository(tmp_path, files)
    done = command("setup", root, "--offline", "--write")
    assert "Written" in done.stdout, done.stdout
    assert "***" not in done.stdout
    assert "id-token: write" in done.stdout


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "script",
    [
        "twine upload -p WRITTEN dist/*",
        "twine upload --password=WRITTEN dist/*",
        "uv publish --token WRITTEN",
        "TWINE_PASSWORD=WRITTEN twine upload dist/*",
    ],
)
def test_a_password_in_a_command_is_not_shown(tmp_path, script):
    text = workflow(step(script.replace("WRITTEN", "tr0ub4dor-and-3"), env=""))
    root = repository(tmp_path / "repository", {NAME: text})
    report = tmp_path / "report.json"
    done = command("setup", root, "--offline", "--write", "--report", report)
    for printed in (done.stdout, done.stderr, report.read_text()):
        assert "tr0ub4dor" not in printed


def test_an_upload_in_an_action_of_the_repository_stays(tmp_path):
    action = f"""\
name: Upload
runs:
  using: composite
  steps:
    - run: twine upload dist/*
      shell: bash
      env: {{TWINE_PASSWORD: "{SECRET}"}}
"""
    text = workflow("      - uses: ./.github/upload\n")
    name = ".github/upload/action.yml"
    root = repository(tmp_path / "repository", {NAME: text, name: action})
    outcome = write(survey(root), offline=True)
    assert "others may use" in outcome.refused[0]
    assert (root / NAME).read_text() == text
    assert (root / name).read_text() == action


def test_of_several_files_all_are_written_or_none(tmp_path):
    other = ".github/workflows/other.yml"
    root = repository(tmp_path / "repository", {NAME: workflow(PYPA), other: workflow(PYPA)})
    (root / other).chmod(0o444)
    outcome = write(survey(root), offline=True)
    assert "read-only" in outcome.refused[0]
    assert not outcome.written
    assert (root / NAME).read_text() == workflow(PYPA)
