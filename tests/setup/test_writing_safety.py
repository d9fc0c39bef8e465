"""`setup --write` changes only what is the same afterwards, and refuses the rest in a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import attested_publish
from attested_publish.setup import git as git_of_setup
from attested_publish.setup.documents import SetupProblem
from attested_publish.setup.scripts import before_upload, is_harmless
from attested_publish.setup.survey import survey
from attested_publish.setup.writing import write
from support.command import command
from support.repositories import PYPROJECT, git, repository

pytestmark = pytest.mark.sample(3)


NAME = ".github/workflows/release.yml"
SECRET = "${{ secrets.PYPI_API_TOKEN }}"
PLAIN = "no plain command|after the upload|longer|outside|not known"
STEP = f"""\
      - name: Publish
        env:
          TWINE_USERNAME: __token__
          TWINE_PASSWORD: {SECRET}
        run: |
SCRIPT
"""
JOB = """\
on:
  push: {tags: ["v*"]}
jobs:
  publish:
    runs-on: ubuntu-latest
    environment: pypi
    steps:
      - uses: actions/checkout@v6
STEPS"""


def workflow(steps: str, *, head: str = "", job: str = JOB) -> str:
    return head + job.replace("STEPS", steps)


def of_script(script: str) -> str:
    indented = "\n".join(f"          {line}" for line in script.splitlines())
    return workflow(STEP.replace("SCRIPT", indented))


def written(tmp_path, text):
    """Write over a workflow; give its text afterwards, and what was said."""
    root = repository(tmp_path / "repository", {NAME: text})
    outcome = write(survey(root), offline=True)
    return (root / NAME).read_text(), outcome


@pytest.mark.sample(12)
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("twine upload dist/*\nrm -rf dist", "line 15 does something after the upload"),
        ("twine upload dist/*; rm -rf dist", "longer"),
        ("twine upload dist/* | tee log", "longer"),
        ("twine upload -r testpypi dist/*\ntwine upload dist/*", "more than once"),
        (
            'if [ "$GITHUB_REF_TYPE" != tag ]; then\n  exit 0\nfi\ntwine upload dist/*',
            PLAIN,
        ),
        ("if [[ $X == v* ]]; then\n  twine upload dist/*\nfi", PLAIN),
        ('test -n "$TAG" &&\ntwine upload dist/*', PLAIN),
        ('test -n "$TAG" && \\\n  twine upload dist/*', PLAIN),
        ('test -n "$TAG" || exit 0\ntwine upload dist/*', PLAIN),
        ("for each in a b; do\n  twine upload $each/dist/*\ndone", PLAIN),
        ("publish() {\n  twine upload dist/*\n}\npublish", PLAIN),
        ("case $X in\n  a) true ;;\nesac\ntwine upload dist/*", PLAIN),
        ("cd python\ntwine upload dist/*", PLAIN),
        ("pushd python > /dev/null\ntwine upload dist/*", PLAIN),
        ("export X=1\ntwine upload dist/*", PLAIN),
        ("X=1\ntwine upload dist/*", PLAIN),
        (". ./env.sh\ntwine upload dist/*", PLAIN),
        ("trap 'rm -rf dist' EXIT\ntwine upload dist/*", PLAIN),
        ('echo "A=1" >> $GITHUB_ENV\ntwine upload dist/*', PLAIN),
        ("cat <<END\ntext\nEND\ntwine upload dist/*", PLAIN),
        ("echo 'a\nb'\ntwine upload dist/*", PLAIN),
    ],
)
def test_a_script_is_not_taken_apart(tmp_path, script, why):
    text = of_script(script)
    after, outcome = written(tmp_path, text)
    assert after == text
    (said,) = outcome.refused
    assert any(each in said for each in why.split("|")), said


@pytest.mark.parametrize(
    "script",
    [
        "set -euo pipefail\npython -m pip install twine\ntwine upload dist/*",
        "# now\ntwine upload \\\n  dist/*",
        "twine check --strict dist/*\nls -l dist\ntwine upload dist/*\n# done",
    ],
)
def test_plain_commands_before_it_stay(tmp_path, script):
    after, outcome = written(tmp_path, of_script(script))
    assert not outcome.refused
    assert "twine upload" not in after
    assert ("twine check" in after) is ("twine check" in script)
    assert "twine check" not in after.partition("uses: attested")[2]
    assert "secrets." not in after


def test_the_folder_of_the_script_is_the_actions(tmp_path):
    defaults = "defaults:\n  run:\n    working-directory: python\n"
    text = defaults + of_script("twine upload dist/*")
    after, outcome = written(tmp_path, text)
    assert not outcome.refused
    assert "packages-dir: python/dist" in after
    own = of_script("twine upload dist/*").replace(
        "        run: |", "        working-directory: ${{ inputs.folder }}\n        run: |"
    )
    after, outcome = written(tmp_path / "unknown", own)
    assert "not known" in outcome.refused[0]
    assert after == own


@pytest.mark.parametrize("place", ["workflow", "job"])
@pytest.mark.parametrize(
    "user",
    ["- run: make internal", "- uses: some/action@v1", "- run: twine upload -r nexus out/*"],
)
def test_credentials_that_others_may_use_stay(tmp_path, place, user):
    variables = f"env:\n  TWINE_USERNAME: __token__\n  TWINE_PASSWORD: {SECRET}\n"
    step = "      - run: twine upload dist/*\n"
    if place == "workflow":
        text = variables + workflow(step)
        text += f"  internal:\n    runs-on: ubuntu-latest\n    steps:\n      {user}\n"
    else:
        inner = "".join(f"    {line}\n" for line in variables.splitlines())
        text = workflow(f"{step}      {user}\n").replace("    steps:\n", f"{inner}    steps:\n")
        text = text.replace("    steps:", "    permissions: {contents: read}\n    steps:")
    after, outcome = written(tmp_path, text)
    assert not outcome.refused
    assert after.count("TWINE_PASSWORD") == 1
    assert any("TWINE_PASSWORD" in each and "may use it" in each for each in outcome.notices)
    alone = text.replace(user, "- run: python -m build")
    after, outcome = written(tmp_path / "alone", alone)
    assert "TWINE" not in after
    assert not any("may use it" in each for each in outcome.notices)


@pytest.mark.parametrize(
    "other",
    ["- uses: softprops/action-gh-release@v2", "- run: gh release upload v1 dist/*"],
)
@pytest.mark.parametrize("head", ["", "permissions: read-all\n"])
def test_permissions_that_others_may_use_are_not_taken_away(tmp_path, other, head):
    text = head + workflow(
        "      - uses: pypa/gh-action-pypi-publish@v1\n        with:\n"
        f"          password: {SECRET}\n      {other}\n"
    )
    after, outcome = written(tmp_path, text)
    assert after == text
    assert "may need permissions" in outcome.refused[0]
    alone = text.replace(other, "- run: python -m build")
    after, outcome = written(tmp_path / "alone", alone)
    assert not outcome.refused
    assert "contents: read" in after
    assert "id-token: write" in after


def test_comments_conditions_and_blank_lines_stay(tmp_path):
    step = f"""\
      - name: Publish # to PyPI
        # only real tags
        if: "!contains(github.ref, 'rc')" # no candidates
        run: twine upload dist/* # as ever
        env:
          TWINE_USERNAME: __token__
          TWINE_PASSWORD: {SECRET}

      # the end
      - run: echo done
"""
    after, outcome = written(tmp_path, workflow(step))
    assert not outcome.refused
    for kept in (
        "- name: Publish # to PyPI\n",
        "        # only real tags\n",
        "        if: \"!contains(github.ref, 'rc')\" # no candidates\n",
        "\n      # the end\n",
    ):
        assert kept in after
    assert "TWINE" not in after


@pytest.mark.parametrize("entry", ["continue-on-error: true", "timeout-minutes: 5"])
def test_entries_that_mean_something_are_not_dropped(tmp_path, entry):
    text = of_script("twine upload dist/*").replace(
        "        run:", f"        {entry}\n        run:"
    )
    after, outcome = written(tmp_path, text)
    assert after == text
    assert repr(entry.partition(":")[0]) in outcome.refused[0]


OLD = workflow(
    f"      - uses: pypa/gh-action-pypi-publish@v1\n        with:\n          password: {SECRET}\n"
)


@pytest.mark.parametrize("kind", ["clean", "process", "include"])
def test_nothing_that_the_repository_configures_is_run(tmp_path, kind):
    root = repository(tmp_path / "repository", {NAME: OLD, ".gitattributes": "* filter=evil\n"})
    mark = tmp_path / "ran"
    program = f"touch {mark}; cat"
    if kind == "include":
        (root / "more").write_text(f'[filter "evil"]\n\tclean = "{program}"\n')
        git(root, "config", "include.path", "../more")
    else:
        git(root, "config", f"filter.evil.{kind}", program)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "diff.external"):
        git(root, "config", name, f"touch {mark}")
    path = root / NAME
    path.touch()
    assert git_of_setup.why_not_to_change(root, NAME) is None
    path.write_text(f"{OLD}# mine\n")
    assert "uncommitted" in (git_of_setup.why_not_to_change(root, NAME) or "")
    assert not mark.exists()


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_changes_that_git_was_told_to_overlook_count(tmp_path, flag):
    root = repository(tmp_path / "repository", {NAME: OLD})
    git(root, "update-index", flag, NAME)
    (root / NAME).write_text(f"{OLD}# mine\n")
    assert "uncommitted" in write(survey(root), offline=True).refused[0]
    assert (root / NAME).read_text().endswith("# mine\n")


def test_staged_changes_count(tmp_path):
    root = repository(tmp_path / "repository", {NAME: OLD})
    (root / NAME).write_text(f"{OLD}# mine\n")
    git(root, "add", "--all")
    (root / NAME).write_text(OLD)
    assert "uncommitted" in write(survey(root), offline=True).refused[0]


def test_line_ends_that_git_converts_are_no_change(tmp_path):
    root = repository(
        tmp_path / "repository", {NAME: OLD, ".gitattributes": "*.yml text eol=crlf\n"}
    )
    (root / NAME).write_bytes(OLD.replace("\n", "\r\n").encode())
    assert git_of_setup.why_not_to_change(root, NAME) is None


def test_links_are_not_written_through(tmp_path):
    root = repository(tmp_path / "repository", {"gh/workflows/release.yml": OLD})
    (root / ".github").symlink_to("gh")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Link")
    outcome = write(survey(root), offline=True)
    assert not outcome.written
    assert (root / "gh/workflows/release.yml").read_text() == OLD
    outside = tmp_path / "outside"
    outside.mkdir()
    other = repository(tmp_path / "other", {})
    (other / ".github").symlink_to(outside)
    with pytest.raises(SetupProblem, match="link"):
        write(survey(other), offline=True)
    assert list(outside.iterdir()) == []


def test_a_file_that_is_read_only_stays(tmp_path):
    root = repository(tmp_path / "repository", {NAME: OLD})
    (root / NAME).chmod(0o444)
    assert "read-only" in write(survey(root), offline=True).refused[0]
    assert (root / NAME).read_text() == OLD


@pytest.mark.parametrize("folder", ["py #1", "a: b", "${{ github.token }}", "-rf", "it's", "a\nb"])
def test_folders_with_odd_names_are_in_no_script(tmp_path, folder):
    files = {f"{folder}/pyproject.toml": PYPROJECT, "pyproject.toml": "[tool.x]\n"}
    root = repository(tmp_path / "repository", files)
    outcome = write(survey(root), offline=True)
    assert not outcome.written
    assert "characters" in outcome.refused[0]


def test_wheels_for_platforms_among_several_projects(tmp_path):
    maturin = '[build-system]\nrequires = ["maturin"]\nbuild-backend = "maturin"\n'
    rust = f'{maturin}[project]\nname = "b"\nversion = "1"\n'
    files = {"a/pyproject.toml": PYPROJECT, "b/pyproject.toml": rust}
    root = repository(tmp_path / "repository", {**files, "pyproject.toml": "[tool.x]\n"})
    outcome = write(survey(root), offline=True)
    assert not outcome.written
    assert "every platform" in outcome.refused[0]


TOKEN = "pypi-AgEIcHlwaS5vcmcCJGFiY2RlZmdoLWlqa2wtbW5vcC1xcnN0"


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("where", "secret"),
    [(SECRET, TOKEN), (SECRET, "correct horse battery"), ("__token__", TOKEN)],
)
def test_a_token_that_is_written_down_is_not_shown(tmp_path, where, secret):
    text = of_script("twine upload dist/*").replace(where, secret)
    root = repository(tmp_path / "repository", {NAME: text})
    report = tmp_path / "report.json"
    summary = tmp_path / "summary.md"
    done = command(
        *("setup", root, "--offline", "--write", "--report", report),
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert "Written" in done.stdout, done.stdout
    for printed in (done.stdout, done.stderr, report.read_text(), summary.read_text()):
        assert secret not in printed


def test_without_a_commit_to_pin_nothing_is_written(tmp_path):
    # As installed from an index: not from a checkout, and no record has a commit.
    installed = tmp_path / "site-packages"
    shutil.copytree(Path(attested_publish.__file__).parent, installed / "attested_publish")
    root = repository(tmp_path / "repository", {NAME: OLD})
    done = command("setup", root, "--offline", "--write", PYTHONPATH=str(installed))
    assert "without --offline" in done.stdout
    assert done.returncode == 1
    assert (root / NAME).read_text() == OLD


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("python -m build\ntwine check dist/*", True),
        ("pip install -U pip build", True),
        ("make publish", False),
        ("gh release create v1", False),
        ("echo hi && curl https://x.example", False),
        ("./release.sh", False),
    ],
)
def test_what_needs_no_credentials(script, expected):
    assert is_harmless(script) is expected


def test_a_long_script_takes_little_time():
    lines = [*(["python -m build --wheel"] * 20_000), "twine upload dist/*"]
    assert len(before_upload(lines, len(lines) - 1, len(lines) - 1, 1)) == 20_000


def test_git_without_a_repository(tmp_path):
    (tmp_path / "file").write_text("x")
    assert "does not know it" in (git_of_setup.why_not_to_change(tmp_path, "file") or "")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert "does not know it" in (git_of_setup.why_not_to_change(tmp_path, "file") or "")


@pytest.mark.sample(12)
@pytest.mark.parametrize("where", ["job", "workflow"])
@pytest.mark.parametrize("value", ["", " ~", " []", " ''", " id-token"])
def test_permissions_that_mean_nothing_are_named(value: str, where: str, tmp_path: Path) -> None:
    """An entry beside `permissions: []` would be its second one."""
    text = of_script("twine upload dist/*")
    if where == "job":
        text = text.replace("    steps:", f"    permissions:{value}\n    steps:")
    else:
        text = f"permissions:{value}\n{text}"
    after, outcome = written(tmp_path, text)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "permissions" in each)
    assert after == text
    (why,) = outcome.refused
    assert f"`permissions` on line {line}" in why
    assert "write `permissions: {}`" in why


def test_twice_as_many_jobs_are_about_twice_the_work(tmp_path: Path) -> None:
    """Each job once looked through all others for who needs its variables."""

    def work(jobs: int) -> int:
        head, _, one = of_script("twine upload dist/*").partition("  publish:\n")
        text = head + "".join(f"  publish-{number}:\n{one}\n" for number in range(jobs))
        root = repository(tmp_path / str(jobs), {NAME: text})
        found, calls = survey(root), 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            outcome = write(found, offline=True)
        finally:
            sys.setprofile(None)
        assert outcome.written[0].after.count(" uses: attested-publish/") == jobs
        return calls

    assert work(100) < 2.6 * work(50)


def test_what_stays_of_the_job_and_of_the_workflow_is_named(tmp_path: Path) -> None:
    text = of_script("twine upload dist/*").replace(
        "    steps:\n",
        "    env: {TWINE_USERNAME: a}\n    steps:\n      - uses: other/action@v1\n",
    )
    text = f"permissions: {{}}\nenv: {{TWINE_NON_INTERACTIVE: 1}}\n{text}"
    after, outcome = written(tmp_path, text)
    assert "attested-publish" in after
    for name in ("TWINE_USERNAME", "TWINE_NON_INTERACTIVE"):
        assert [each for each in outcome.notices if each.startswith(f"{name} stays")], outcome
