"""The files around the program: action.yml, launch.sh, the workflows and the examples."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from attested_publish.fronts.action import hand_over
from attested_publish.fronts.cli import _parser
from attested_publish.report import Report
from attested_publish.settings import SETTINGS, understand
from support.paths import ROOT

ACTION = YAML(typ="safe").load(ROOT / "action.yml")
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
LAUNCH = (ROOT / "launch.sh").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yml"))
US = "attested-publish/attested-publish"

needs_bash = pytest.mark.skipif(
    sys.platform == "win32", reason="bash may be that of another system there"
)


def name_of(path):
    return path.name


def tool(name):
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if not found and name == "shellcheck" and platform.machine() != "x86_64":
        # Where it has no wheel, it is the machine's own.
        found = shutil.which(name)
        if not found:
            pytest.skip("there is no shellcheck here")
    assert found, f"{name} is not in the virtual environment (requirements/dev.txt)"
    return found


def lint(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def steps_of(document):
    if "runs" in document:
        return document["runs"]["steps"]
    return [step for job in document["jobs"].values() for step in job.get("steps", [])]


def handed_over_to_the_container():
    return set(re.search(r'VARIABLES="([^"]*)"', LAUNCH)[1].split())


def test_inputs_are_the_settings():
    assert ACTION["inputs"] == {
        setting.name: {"description": setting.help, "default": str(setting.default)}
        for setting in SETTINGS
    }
    assert list(ACTION["inputs"]) == [setting.name for setting in SETTINGS]


def test_every_input_reaches_the_step_that_reads_it():
    for setting in SETTINGS:
        step = STEPS["prepare" if setting.is_for_action_only else "publish"]
        variable = f"INPUT_{setting.name.upper().replace('-', '_')}"
        assert step["env"][variable] == f"${{{{ inputs.{setting.name} }}}}"


def test_a_secret_is_kept_from_what_installs():
    secrets = {setting.name for setting in SETTINGS if setting.is_secret}
    assert not [name for name in secrets if f"inputs.{name}" in str(STEPS["prepare"])]


def test_outputs_are_those_the_program_writes(tmp_path):
    output = tmp_path / "output"
    report = Report(mode="publish", index="https://upload.pypi.org/legacy/")
    hand_over(report, {"GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(tmp_path)}, print)
    written = re.findall(r"^([\w-]+)<<", output.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(ACTION["outputs"]) == set(written)
    for name, declared in ACTION["outputs"].items():
        # A program that could not start, or was killed, has written nothing.
        otherwise = " || 'failed'" if name == "result" else ""
        assert declared["value"] == f"${{{{ steps.publish.outputs.{name}{otherwise} }}}}"


def test_the_action_uses_no_other_action():
    assert [step for step in STEPS.values() if "uses" in step] == []
    assert "github.action_" not in (ROOT / "action.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [ROOT / "action.yml", *WORKFLOWS, *EXAMPLES], ids=name_of)
def test_no_expression_reaches_a_shell(path):
    for step in steps_of(YAML(typ="safe").load(path)):
        assert "${{" not in step.get("run", "")


def test_the_container_gets_every_input_but_the_runtime():
    inputs = {
        f"INPUT_{setting.name.upper().replace('-', '_')}"
        for setting in SETTINGS
        if not setting.is_for_action_only
    }
    assert {name for name in handed_over_to_the_container() if name.startswith("INPUT_")} == inputs


def test_the_container_gets_every_variable_of_the_job_that_the_program_reads():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").glob("**/*.py"))
    read = set(re.findall(r'"((?:GITHUB|RUNNER|ACTIONS)_[A-Z_]+)"', source))
    # The container has a temporary folder of its own. The others are not read, but set by the
    # embedded world for the job that it pretends.
    elsewhere = {"RUNNER_TEMP", "GITHUB_REF_NAME", "GITHUB_REF_TYPE", "GITHUB_REPOSITORY_OWNER"}
    elsewhere.add("GITHUB_SERVER_URL")
    assert read - handed_over_to_the_container() <= elsewhere


def test_launch_knows_the_default_folder():
    default = next(setting.default for setting in SETTINGS if setting.name == "packages-dir")
    assert f"mount_packages {default}\n" in LAUNCH


@needs_bash
@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"INPUT_RUNTIME": "podman"}, "runtime is 'podman'; it must be auto, docker or python."),
        ({"INPUT_RUNTIME": " Docker "}, "runtime is docker, but there is no docker command"),
        ({"INPUT_RUNTIME": "python"}, "runtime is python, but no Python 3.11 or newer"),
        ({"INPUT_RUNTIME": ""}, "There is nothing to run in: "),
        ({"INPUT_RUNTIME": "100%"}, "runtime is '100%25';"),
    ],
)
def test_launch_says_what_is_missing(tmp_path, variables, says):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "tr", "uname"):
        (tools / name).symlink_to(shutil.which(name))
    if sys.platform != "linux" and "docker command" in says:
        says = "Docker is used on Linux only"
    done = subprocess.run(
        [shutil.which("bash"), ROOT / "launch.sh", "prepare"],
        env={"PATH": str(tools), "RUNNER_TEMP": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"::error title=attested-publish cannot run here::{says}" in done.stdout
    assert done.stderr == ""


def test_shell_scripts():
    lint(tool("shellcheck"), "launch.sh", ".ci/run")
    for path in (ROOT / "launch.sh", ROOT / ".ci" / "run"):
        assert os.name == "nt" or os.access(path, os.X_OK)


def test_the_dockerfile():
    lint(tool("hadolint"), "Dockerfile")


def test_workflows_and_examples_are_in_order():
    files = [str(path.relative_to(ROOT)) for path in (*WORKFLOWS, *EXAMPLES)]
    assert len(EXAMPLES) >= 8
    lint(tool("actionlint"), "-shellcheck", tool("shellcheck"), *files)
    lint(
        *(tool("zizmor"), "--offline", "--no-progress", "--persona=auditor"),
        *("--config", ".github/zizmor.yml", "action.yml", *files),
    )
    lint(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *files)
    lint(tool("check-jsonschema"), "--builtin-schema", "vendor.github-actions", "action.yml")
    dependabot = ".github/dependabot.yml"
    lint(tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot", dependabot)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_uses_the_action_right(path):
    text = path.read_text(encoding="utf-8")
    document = YAML(typ="safe").load(text)
    calls = [step for step in steps_of(document) if step.get("uses", "").startswith(f"{US}@")]
    commands = [
        step["run"] for step in steps_of(document) if "uvx attested-publish" in step.get("run", "")
    ]
    assert calls or commands
    for command in commands:
        _parser().parse_args(shlex.split(command)[2:])
    for call in calls:
        given = {name: str(value) for name, value in call.get("with", {}).items()}
        assert set(given) <= set(ACTION["inputs"])
        understand({name: value for name, value in given.items() if "${{" not in value})
    for output in re.findall(r"steps\.publish\.outputs\.([\w-]+)", text):
        assert output in ACTION["outputs"]


def test_the_called_workflow_is_called_right():
    called = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "publish.yml")
    interface = called.get("on", called.get(True))["workflow_call"]
    caller = YAML(typ="safe").load(ROOT / "docs" / "examples" / "build-elsewhere.yml")
    jobs = {name: job for name, job in caller["jobs"].items() if job.get("uses", "").startswith(US)}
    assert list(jobs) == ["release"]
    path = jobs["release"]["uses"].removeprefix(f"{US}/").partition("@")[0]
    assert (ROOT / path).is_file()
    assert set(jobs["release"].get("with", {})) <= set(interface["inputs"])
    for output in re.findall(r"needs\.release\.outputs\.([\w-]+)", str(caller)):
        assert output in interface["outputs"]


def test_the_image_is_fixed():
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", dockerfile, re.MULTILINE)
    # What is built without a target is the last one.
    assert stages == [
        ("${PYTHON_IMAGE}", "build"),
        ("scratch", "program"),
        ("program", "shell"),
        ("program", ""),
    ]
    assert not re.search(r"^\s*#\s*syntax\s*=", dockerfile, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["', dockerfile, re.MULTILINE)
    assert "--require-hashes" in dockerfile


# An engine may start whatever it is asked to: this only writes down what launch.sh asks for.
# KNOWS is a field that its `info` has, FACTS what that prints.
_ENGINE = """#!{bash}
if [[ $1 == info ]]; then
  [[ $3 == *"${{KNOWS-}}"* ]] || exit 125
  printf '%s\\n' "${{FACTS-}}"
  exit
fi
printf '%s\\n' "$@"
"""


@pytest.fixture
def asked(tmp_path):
    """A function that gives what an engine is asked for, for some inputs."""
    if sys.platform != "linux":
        pytest.skip("Docker is used on Linux only")
    for name in ("bin", "temp", "workspace"):
        (tmp_path / name).mkdir()
    engine = tmp_path / "bin" / "docker"
    engine.write_text(_ENGINE.format(bash=shutil.which("bash")))
    engine.chmod(0o755)

    def asked(**inputs):
        done = subprocess.run(
            [shutil.which("bash"), ROOT / "launch.sh", "publish"],
            env={
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(tmp_path / "temp"),
                "ATTESTED_PUBLISH_RUNTIME": "docker",
                "ATTESTED_PUBLISH_IMAGE": "image",
                **inputs,
            },
            cwd=tmp_path / "workspace",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("\nimage\n")
        return done.stdout

    return asked


@pytest.fixture
def mounts(asked, tmp_path):
    """A function that gives what the container sees of the host, for some inputs."""

    def mounts(**inputs):
        found = re.findall(r'^type=bind,"source=(.*?)",', asked(**inputs), re.MULTILINE)
        return [path for path in found if not path.startswith(f"{tmp_path}/temp/")]

    return mounts


_CALLER = f"{os.getuid()}:{os.getgid()}" if os.name != "nt" else ""


@pytest.mark.parametrize(
    ("knows", "facts", "user", "is_relabelled"),
    [
        ("OSType", "linux [name=seccomp]", _CALLER, False),
        ("OSType", "linux [name=seccomp name=rootless]", "0:0", False),
        ("OSType", "linux [name=selinux]", _CALLER, True),
        ("Host.OS", "linux name=podman", _CALLER, False),
        ("Host.OS", "linux name=podman name=rootless name=selinux", "0:0", True),
    ],
)
def test_each_engine_is_asked_for_the_callers_rights(asked, knows, facts, user, is_relabelled):
    words = asked(KNOWS=knows, FACTS=facts).splitlines()
    assert words[words.index("--user") + 1] == user
    assert ("label=disable" in words) == is_relabelled


def test_podman_is_given_a_working_directory_that_nothing_is_mounted_in(asked, tmp_path):
    podman = {"KNOWS": "Host.OS", "FACTS": "linux name=podman"}
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    elsewhere.mkdir()
    empty = f'type=tmpfs,"target={workspace}",tmpfs-mode=0555'
    assert empty in asked(**podman, INPUT_PACKAGES_DIR=str(elsewhere))
    assert "tmpfs" not in asked(INPUT_PACKAGES_DIR=str(elsewhere))
    (workspace / "dist").mkdir()
    assert "tmpfs" not in asked(**podman)
    # The folder itself is mounted, to list what is there.
    assert "tmpfs" not in asked(**podman, INPUT_PACKAGES_DIR="missing")
    (tmp_path / "workspace-2").mkdir()
    assert empty in asked(**podman, INPUT_PACKAGES_DIR=str(tmp_path / "workspace-2"))


_OF_THE_SYSTEM = [
    *("/", "/run", "/var/run", "/proc", "/sys", "/dev", "/var", "//run//", "/tmp/../run"),
    *("/run/missing", "/var/run/missing", "/missing", "/proc/missing", "/sys/missing"),
    *("/dev/missing", "/var/missing", "/proc/self/cwd/missing", "/run/missing/dist"),
    *("/usr/../run/missing", "link", "link/", "link/missing", "links/run", "to-root/run"),
    *("to-self/root", "to-self/root/missing"),
    *("/proc/1/root", "/dev/null"),
]
_WOULD_BE_MADE = {"/missing", "/var/missing", "to-self/root/missing"}


@pytest.mark.sample(14)
@pytest.mark.parametrize("setting", ["INPUT_PACKAGES_DIR", "INPUT_ATTESTATIONS_DIR"])
@pytest.mark.parametrize("path", _OF_THE_SYSTEM)
def test_the_systems_own_folders_are_never_shown_to_the_container(mounts, tmp_path, setting, path):
    workspace = tmp_path / "workspace"
    (workspace / "link").symlink_to("/run")
    (workspace / "to-root").symlink_to("/")
    (workspace / "to-self").symlink_to("/proc/self")
    (workspace / "links").mkdir()
    (workspace / "links" / "run").symlink_to("../link")
    (workspace / "dist").mkdir()
    if setting == "INPUT_ATTESTATIONS_DIR" and path in _WOULD_BE_MADE:
        pytest.skip("a folder to write to is made, and it is not the system's")
    assert mounts(**{setting: path}) in ([], [str(workspace / "dist")])


def test_what_is_named_and_what_is_beside_it_is_shown(mounts, tmp_path):
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    (elsewhere / "dist").mkdir(parents=True)
    (workspace / "link").symlink_to(elsewhere)
    # What is missing among the job's own files: what is there instead can be told.
    assert mounts() == [str(workspace)]
    assert mounts(INPUT_PACKAGES_DIR="here/dist") == []
    (workspace / "here").mkdir()
    assert mounts(INPUT_PACKAGES_DIR="here/dist") == [str(workspace / "here")]
    assert mounts(INPUT_PACKAGES_DIR="../elsewhere/missing") == []
    assert mounts(INPUT_PACKAGES_DIR=f"here\n{elsewhere}/dist") == [
        str(workspace / "here"),
        str(elsewhere / "dist"),
    ]
    # The engine is told where a link leads, and shows it where the job has it.
    assert mounts(INPUT_PACKAGES_DIR="link/dist") == [str(elsewhere / "dist")]
    (workspace / "self").symlink_to("/proc/self/cwd")
    assert mounts(INPUT_PACKAGES_DIR="self") == [str(workspace)]
    assert mounts(INPUT_ATTESTATIONS_DIR="kept") == [str(workspace / "kept"), str(workspace)]
