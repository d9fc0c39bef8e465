"""Workflows of the shapes that people have: the publishers they need, and what is found."""

# ruff: noqa: E501 - a workflow in a line is easier to compare with others

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

import pytest

from attested_publish.setup.survey import survey
from support.paths import ROOT
from support.repositories import PYPROJECT, repository

COMMIT = "a" * 40
OURS = f"attested-publish/attested-publish@{COMMIT}"
PYPA = f"pypa/gh-action-pypi-publish@{COMMIT}"
CHECKOUT = f"actions/checkout@{COMMIT}"
TAGS = "on: {push: {tags: ['v*']}}\n"
IDENTITY = "permissions: {id-token: write}"
PYPI = ("pypi", "sample", "release.yml", "pypi")
NAMED = '[project]\nname = "{}"\n'


def job(*steps, head="", env="environment: pypi", permissions=IDENTITY, name="publish"):
    """A job with these steps, each YAML of its own."""
    listed = "".join(
        textwrap.indent(f"- {step}\n".replace("\n", "\n  ", step.count("\n")), "      ")
        for step in steps
    )
    parts = [part for part in (head, env, permissions) if part]
    return (
        f"  {name}:\n    runs-on: ubuntu-latest\n"
        + "".join(f"    {p}\n" for p in parts)
        + f"    steps:\n{listed}"
    )


def workflow(*jobs, on=TAGS, head=""):
    return f"name: Release\n{on}{head}jobs:\n" + "".join(jobs)


@dataclass
class Case:
    text: str
    publishers: list = field(default_factory=lambda: [PYPI])
    rules: set = field(default_factory=set)
    files: dict = field(default_factory=dict)
    name: str = ".github/workflows/release.yml"


def run(script, **more):
    extra = "".join(f"\n{key}: {value}" for key, value in more.items())
    return f"run: {script}{extra}"


def block(*lines, **more):
    return run("|\n" + "\n".join(f"  {line}" for line in lines), **more)


TOKEN = "${{ secrets.TOKEN }}"
TEST = ("testpypi", "sample", "release.yml", "testpypi")
CASES = {
    "ours": Case(workflow(job(f"uses: {OURS}"))),
    "pypa": Case(workflow(job(f"uses: {PYPA}"))),
    "pypa, moving": Case(
        workflow(job("uses: pypa/gh-action-pypi-publish@release/v1")), rules={"unpinned-action"}
    ),
    "a check only": Case(workflow(job(f"uses: {OURS}\nwith: {{mode: check}}")), publishers=[]),
    "no environment": Case(
        workflow(job(f"uses: {PYPA}", env="")),
        [("pypi", "sample", "release.yml", None)],
        {"no-environment"},
    ),
    "environment with an address": Case(
        workflow(
            job(f"uses: {PYPA}", env="environment: {name: live, url: 'https://pypi.org/p/x'}")
        ),
        [("pypi", "sample", "release.yml", "live")],
    ),
    "environment of the run": Case(
        workflow(
            job(f"uses: {PYPA}", env="environment: ${{ inputs.where }}"),
            on="on: {workflow_dispatch: {inputs: {where: {type: string}}}}\n",
        ),
        [("pypi", "sample", "release.yml", None)],
    ),
    "TestPyPI by address": Case(
        workflow(
            job(
                f"uses: {PYPA}\nwith: {{repository-url: 'https://test.pypi.org/legacy/'}}",
                env="environment: testpypi",
            )
        ),
        [TEST],
    ),
    "a private index": Case(
        workflow(
            job(
                f"uses: {PYPA}\nwith: {{repository-url: 'https://pypi.example.org/legacy/'}}",
                env="",
            )
        ),
        [],
    ),
    "the old input": Case(
        workflow(
            job(
                f"uses: {PYPA}\nwith: {{repository_url: 'https://test.pypi.org/legacy/'}}",
                env="environment: testpypi",
            )
        ),
        [TEST],
    ),
    "both indexes in one step": Case(
        workflow(
            job(
                f"uses: {OURS}\nwith:\n  repository-url: |\n    https://test.pypi.org/legacy/\n    https://upload.pypi.org/legacy/"
            )
        ),
        [PYPI, ("testpypi", "sample", "release.yml", "pypi")],
    ),
    "a stored token": Case(
        workflow(job(f"uses: {PYPA}\nwith: {{password: '{TOKEN}'}}", permissions="")),
        rules={"stored-token"},
    ),
    "a token that a step made": Case(
        workflow(job(f"uses: {PYPA}\nwith: {{password: '${{{{ steps.mint.outputs.token }}}}'}}"))
    ),
    "twine": Case(
        workflow(
            job(run("twine upload dist/*", env=f"{{TWINE_PASSWORD: '{TOKEN}'}}"), permissions="")
        ),
        rules={"stored-token"},
    ),
    "twine as a module, continued": Case(
        workflow(
            job(
                block(
                    "python -m twine upload \\\\".replace("\\\\", "\\"),
                    "  --repository testpypi dist/*",
                ),
                env="environment: testpypi",
            )
        ),
        [TEST],
    ),
    "twine with an address in a variable": Case(
        workflow(
            job(
                run(
                    "twine upload dist/*",
                    env="{TWINE_REPOSITORY_URL: 'https://test.pypi.org/legacy/'}",
                ),
                env="environment: testpypi",
            )
        ),
        [TEST],
    ),
    "twine with .pypirc": Case(
        workflow(
            job(
                block(
                    "cat > ~/.pypirc <<EOF",
                    "[mine]",
                    "repository = https://test.pypi.org/legacy/",
                    f"password = {TOKEN}",
                    "EOF",
                    "twine upload -r mine dist/*",
                ),
                env="environment: testpypi",
            )
        ),
        [TEST],
        {"stored-token"},
    ),
    "a here-document that mentions it": Case(
        workflow(
            job(
                block(
                    "cat > notes <<'EOF'",
                    "twine upload dist/*",
                    "EOF",
                    'echo "uv publish"',
                    "# poetry publish",
                )
            )
        ),
        [],
    ),
    "a shell that reads a here-document": Case(
        workflow(job(block("bash <<'EOF'", "uv publish", "EOF")))
    ),
    "uv": Case(workflow(job(run("uv publish")))),
    "uv, an index of pyproject": Case(
        workflow(job(run("uv publish --index trial"), env="environment: testpypi")),
        [TEST],
        files={
            "pyproject.toml": PYPROJECT
            + '[[tool.uv.index]]\nname = "trial"\nurl = "https://test.pypi.org/simple/"\npublish-url = "https://test.pypi.org/legacy/"\n'
        },
    ),
    "uv, a private index of uv.toml": Case(
        workflow(job(run("uv publish --index ours"))),
        [],
        files={
            "uv.toml": '[[index]]\nname = "ours"\nurl = "https://x.example/simple"\npublish-url = "https://x.example/legacy/"\n'
        },
    ),
    "uv, dry": Case(workflow(job(run("uv publish --dry-run"))), []),
    "poetry builds": Case(
        workflow(job(run("poetry publish --build"))), rules={"builds-with-identity"}
    ),
    "poetry, configured before": Case(
        workflow(
            job(
                block(
                    "poetry config repositories.t https://test.pypi.org/legacy/",
                    "poetry publish -r t",
                ),
                env="environment: testpypi",
            )
        ),
        [TEST],
    ),
    "poetry with a token": Case(
        workflow(job(block(f"poetry config pypi-token.pypi {TOKEN}", "poetry publish"))),
        rules={"stored-token"},
    ),
    "hatch, test": Case(
        workflow(job(run("hatch publish -r test"), env="environment: testpypi")), [TEST]
    ),
    "flit": Case(
        workflow(job(run("flit publish", env=f"{{FLIT_PASSWORD: '{TOKEN}'}}"), permissions="")),
        rules={"stored-token"},
    ),
    "maturin": Case(workflow(job(run("maturin upload dist/*")))),
    "maturin's action": Case(
        workflow(
            job(
                f"uses: PyO3/maturin-action@{COMMIT}\nwith: {{command: upload, args: '--repository testpypi dist/*'}}",
                env="environment: testpypi",
            )
        ),
        [TEST],
    ),
    "pdm builds": Case(workflow(job(run("pdm publish"))), rules={"builds-with-identity"}),
    "builds, caches": Case(
        workflow(
            job(
                f"uses: {CHECKOUT}",
                f"uses: actions/setup-python@{COMMIT}\nwith: {{cache: pip}}",
                f"uses: astral-sh/setup-uv@{COMMIT}",
                run("python -m build"),
                f"uses: {PYPA}",
            )
        ),
        rules={"builds-with-identity", "cache-with-identity"},
    ),
    "caches that are off": Case(
        workflow(
            job(
                f"uses: actions/setup-python@{COMMIT}",
                f"uses: astral-sh/setup-uv@{COMMIT}\nwith: {{enable-cache: false}}",
                f"uses: {PYPA}",
            )
        ),
    ),
    "builds without identity": Case(
        workflow(
            job(
                run("python -m build"),
                run("twine upload dist/*", env=f"{{TWINE_PASSWORD: '{TOKEN}'}}"),
                permissions="permissions: {contents: read}",
            )
        ),
        rules={"stored-token"},
    ),
    "any branch": Case(workflow(job(f"uses: {PYPA}"), on="on: push\n"), rules={"any-branch"}),
    "one branch": Case(workflow(job(f"uses: {PYPA}"), on="on: {push: {branches: [main]}}\n")),
    "any branch, asked for a tag": Case(
        workflow(
            job(f"uses: {PYPA}", head="if: startsWith(github.ref, 'refs/tags/')"), on="on: [push]\n"
        )
    ),
    "any branch, the step asks": Case(
        workflow(
            job(f"uses: {PYPA}\nif: github.event_name == 'release'"), on='"on": [push, release]\n'
        )
    ),
    "any branch, what it needs asks": Case(
        workflow(
            job(
                run("python -m build"),
                head="if: github.ref_type == 'tag'",
                env="",
                permissions="",
                name="build",
            ),
            job(f"uses: {PYPA}", head="needs: build"),
            on="on: push\n",
        )
    ),
    "by hand": Case(workflow(job(f"uses: {PYPA}"), on="on: workflow_dispatch\n")),
    "pull_request_target": Case(
        workflow(job(f"uses: {PYPA}"), on="on: pull_request_target\n"), rules={"untrusted-trigger"}
    ),
    "workflow_run": Case(
        workflow(
            job(f"uses: {PYPA}", head="if: github.event.workflow_run.conclusion == 'success'"),
            on="on: {workflow_run: {workflows: [CI], types: [completed]}}\n",
        ),
        rules={"untrusted-trigger"},
    ),
    "workflow_run of pushes": Case(
        workflow(
            job(f"uses: {PYPA}", head="if: github.event.workflow_run.event == 'push'"),
            on="on: {workflow_run: {workflows: [CI], types: [completed]}}\n",
        )
    ),
    "comments, for another job": Case(
        workflow(
            job(f"uses: {PYPA}", head="if: github.event_name == 'release'"),
            on="on: [release, issue_comment]\n",
        )
    ),
    "write-all": Case(
        workflow(job(f"uses: {PYPA}", permissions="permissions: write-all")),
        rules={"wide-permissions"},
    ),
    "identity for all jobs": Case(
        workflow(
            job(run("true"), env="", permissions="", name="test"),
            job(f"uses: {PYPA}", permissions=""),
            head="permissions: {id-token: write}\n",
        ),
        rules={"wide-permissions"},
    ),
    "identity for the only job": Case(
        workflow(job(f"uses: {PYPA}", permissions=""), head="permissions: {id-token: write}\n")
    ),
    "another write": Case(
        workflow(
            job(f"uses: {PYPA}", permissions="permissions: {id-token: write, contents: write}")
        ),
        rules={"wide-permissions"},
    ),
    "a matrix of indexes": Case(
        workflow(
            job(
                f"uses: {PYPA}\nwith: {{repository-url: '${{{{ matrix.url }}}}'}}",
                head="strategy: {matrix: {include: [{index: pypi, url: 'https://upload.pypi.org/legacy/'}, {index: testpypi, url: 'https://test.pypi.org/legacy/'}]}}",
                env="environment: ${{ matrix.index }}",
            )
        ),
        [PYPI, TEST],
    ),
    "a composite action": Case(
        workflow(
            job(
                f"uses: {CHECKOUT}",
                "uses: ./.github/actions/publish\nwith: {index: 'https://test.pypi.org/legacy/'}",
                env="environment: testpypi",
            )
        ),
        [TEST],
        files={
            ".github/actions/publish/action.yml": f"name: P\ndescription: P\ninputs: {{index: {{required: true}}}}\nruns:\n  using: composite\n  steps:\n  - uses: {PYPA}\n    with:\n      repository-url: ${{{{ inputs.index }}}}\n"
        },
    ),
    "a reusable workflow": Case(
        workflow(
            "  call:\n    uses: ./.github/workflows/called.yml\n    with: {where: pypi}\n    permissions: {id-token: write}\n"
        ),
        [("pypi", "sample", "called.yml", "pypi")],
        {"reusable-workflow"},
        {
            ".github/workflows/called.yml": workflow(
                job(f"uses: {PYPA}", env="environment: ${{ inputs.where }}"),
                on="on: {workflow_call: {inputs: {where: {type: string}}}}\n",
            )
        },
    ),
    "an action of the workflow's own commit": Case(
        workflow(job("uses: $/.github/actions/publish")),
        files={
            ".github/actions/publish/action.yml": f"runs:\n  using: composite\n  steps:\n  - uses: {PYPA}\n"
        },
    ),
    "a reusable workflow of the workflow's own commit": Case(
        workflow(
            "  call:\n    uses: $/.github/workflows/called.yml\n    with: {where: pypi}\n    permissions: {id-token: write}\n"
        ),
        [("pypi", "sample", "called.yml", "pypi")],
        {"reusable-workflow"},
        {
            ".github/workflows/called.yml": workflow(
                job(f"uses: {PYPA}", env="environment: ${{ inputs.where }}"),
                on="on: {workflow_call: {inputs: {where: {type: string}}}}\n",
            )
        },
    ),
    "the repository of our action itself": Case(
        workflow(
            job("uses: ./\nwith: {mode: rehearse}", env="", permissions="", name="rehearse"),
            job("uses: $/."),
        ),
        files={"action.yml": (ROOT / "action.yml").read_text(encoding="utf-8")},
    ),
    "an action of its own at the top": Case(
        workflow(job("uses: $/.")),
        files={"action.yml": f"name: P\nruns:\n  using: composite\n  steps:\n  - uses: {PYPA}\n"},
    ),
    "a reusable workflow of others": Case(
        workflow(
            f"  call:\n    uses: other/shared/.github/workflows/publish.yml@{COMMIT}\n    permissions: {{id-token: write}}\n"
        ),
        [],
        {"reusable-workflow"},
    ),
    "a matrix of projects": Case(
        workflow(
            job(
                f"uses: {PYPA}\nwith: {{packages-dir: 'packages/${{{{ matrix.package }}}}/dist'}}",
                head="strategy: {matrix: {package: [one, two]}}",
            )
        ),
        [
            ("pypi", "sample-one", "release.yml", "pypi"),
            ("pypi", "sample-two", "release.yml", "pypi"),
        ],
        files={
            "pyproject.toml": "[tool.uv.workspace]\nmembers = ['packages/*']\n",
            "packages/one/pyproject.toml": NAMED.format("sample-one"),
            "packages/two/pyproject.toml": NAMED.format("sample-two"),
            "packages/three/pyproject.toml": NAMED.format("sample-three"),
        },
    ),
    "one of several projects": Case(
        workflow(
            job(run("uv build --package sample-two"), env="", permissions="", name="build"),
            job(f"uses: {PYPA}", head="needs: [build]"),
        ),
        [("pypi", "sample-two", "release.yml", "pypi")],
        files={
            "pyproject.toml": "[tool.uv.workspace]\nmembers = ['packages/*']\n",
            "packages/one/pyproject.toml": NAMED.format("sample-one"),
            "packages/two/pyproject.toml": NAMED.format("sample-two"),
        },
    ),
    "setup.cfg": Case(
        workflow(job(f"uses: {PYPA}")),
        files={"pyproject.toml": "", "setup.cfg": "[metadata]\nname = sample\n"},
    ),
    "setup.py": Case(
        workflow(job(f"uses: {PYPA}")),
        files={
            "pyproject.toml": "",
            "setup.py": "from setuptools import setup\nNAME = 'sample'\nsetup(name=NAME)\n",
        },
    ),
    "setup.py that works it out": Case(
        workflow(job(f"uses: {PYPA}")),
        [("pypi", None, "release.yml", "pypi")],
        files={
            "pyproject.toml": "",
            "setup.py": "import pathlib\npathlib.Path('ran').touch()\nsetup(name=open('x').read())\n",
        },
    ),
    "anchors and merges": Case(
        "name: R\n"
        + TAGS
        + "x: &env {environment: pypi, permissions: {id-token: write}, runs-on: ubuntu-latest}\njobs:\n  publish:\n    <<: *env\n    steps:\n    - uses: "
        + PYPA
        + "\n"
    ),
    "an action of its own that only sets up": Case(
        workflow(job("uses: ./.github/actions/setup", f"uses: {PYPA}")),
        rules={"cache-with-identity", "unpinned-action"},
        files={
            ".github/actions/setup/action.yml": "runs:\n  using: composite\n  steps:\n  - uses: astral-sh/setup-uv@v7\n"
        },
    ),
    "a folder that only a run knows": Case(
        workflow(
            job(
                block(
                    "for file in $(git diff --name-only); do",
                    "  cd `dirname $file`",
                    "  uv publish",
                ),
            )
        ),
        [
            ("pypi", "sample", "release.yml", "pypi"),
            ("pypi", "sample-one", "release.yml", "pypi"),
            ("pypi", "sample-two", "release.yml", "pypi"),
        ],
        files={
            "one/pyproject.toml": NAMED.format("sample-one"),
            "more/two/pyproject.toml": NAMED.format("sample-two"),
        },
    ),
    "a working directory that only a run knows": Case(
        workflow(
            job(run("uv publish", **{"working-directory": "${{ inputs.folder }}"})),
            on="on: {workflow_dispatch: {inputs: {folder: {type: string}}}}\n",
        ),
        [
            ("pypi", "sample", "release.yml", "pypi"),
            ("pypi", "sample-one", "release.yml", "pypi"),
        ],
        files={"one/pyproject.toml": NAMED.format("sample-one")},
    ),
    "the repository's own folder": Case(
        workflow(job(block("cd $GITHUB_WORKSPACE", "uv publish"))),
        files={"one/pyproject.toml": NAMED.format("sample-one")},
    ),
    "an artifact whose name only a run knows": Case(
        workflow(
            job(
                f"uses: actions/download-artifact@{COMMIT}\nwith: {{name: '${{{{ needs.build.outputs.name }}}}'}}",
                f"uses: {PYPA}",
            )
        ),
        files={"one/pyproject.toml": NAMED.format("sample-one")},
    ),
    "a task that builds": Case(
        workflow(job(run("make package"), f"uses: {PYPA}")), rules={"builds-with-identity"}
    ),
    "a script that builds": Case(
        workflow(job(run("./scripts/build.sh"), f"uses: {PYPA}")), rules={"builds-with-identity"}
    ),
    "a task that builds no distribution": Case(
        workflow(job(run("make build-docs"), f"uses: {PYPA}"))
    ),
    "caches of other tools": Case(
        workflow(
            job(f"uses: eifinger/setup-rye@{COMMIT}\nwith: {{enable-cache: true}}", f"uses: {PYPA}")
        ),
        rules={"cache-with-identity"},
    ),
    "a job that never runs": Case(workflow(job(f"uses: {PYPA}", head="if: false")), []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_publishers_and_findings(case, tmp_path):
    root = repository(tmp_path / "repository", {case.name: case.text, **case.files})
    found = survey(root)
    assert found.notices == []
    fields = [
        (each.index, each.project, each.workflow, each.environment) for each in found.publishers
    ]
    assert sorted(fields, key=str) == sorted(case.publishers, key=str)
    assert {each.rule for each in found.findings} == case.rules
    assert {(each.owner, each.repository) for each in found.publishers} <= {
        ("octo-org", "sample-repo")
    }
    lines = (root / ".github/workflows/release.yml").read_text().splitlines()
    assert all(each.line <= len(lines) or each.file != case.name for each in found.findings)
    assert not (root / "ran").exists()


MAY_PUBLISH = {
    "a script that is given a secret for PyPI": job(
        run("scripts/publish", env=f"{{TWINE_PASSWORD: '{TOKEN}'}}"), env="", permissions=""
    ),
    "a task that is given a secret that is named for PyPI": job(
        run("make release", env="{PASSWORD: '${{ secrets.PYPI }}'}"), env="", permissions=""
    ),
    "a script with an environment for deployments": job(
        run("scripts/publish"), env="environment: deploy", permissions=""
    ),
    "an action that is given a secret for PyPI": job(
        f"uses: example/release@{COMMIT}\nwith: {{pypi_token: '{TOKEN}'}}", env="", permissions=""
    ),
    "an action that finishes a release of Jupyter's": job(
        f"uses: jupyter-server/jupyter_releaser/.github/actions/finalize-release@{COMMIT}"
    ),
}


@pytest.mark.parametrize("text", MAY_PUBLISH.values(), ids=MAY_PUBLISH.keys())
def test_what_may_publish_is_named(text, tmp_path):
    files = {".github/workflows/release.yml": workflow(text)}
    found = survey(repository(tmp_path / "repository", files))
    assert found.jobs == []
    assert [each.file for each in found.may_publish] == [*files]


def test_a_secret_for_something_else_is_no_sign_of_publishing(tmp_path):
    text = job(run("make release", env=f"{{GH_TOKEN: '{TOKEN}'}}"), env="", permissions="")
    files = {".github/workflows/release.yml": workflow(text)}
    assert not survey(repository(tmp_path / "repository", files)).may_publish


def test_this_repository_has_the_publisher_that_its_release_needs():
    """As docs/development.md says."""
    needed = ("pypi", "attested-publish", "release.yml", "pypi")
    found = survey(ROOT)
    assert needed in [
        (each.index, each.project, each.workflow, each.environment) for each in found.publishers
    ]
    (job,) = [each for each in found.jobs if each.file == ".github/workflows/release.yml"]
    assert not job.unpinned


def test_there_are_enough():
    assert len(CASES) >= 40
