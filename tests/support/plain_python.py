"""A job that prepares plain Python: a copy of the action with a made-up lock, and a real uv."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from support.environment import without_a_job
from support.locks import write_wheel
from support.paths import ROOT

BASH = shutil.which("bash")
TOOLS = ("bash", "cat", "dirname", "mktemp", "od", "rm", "tr", "uname")
UV = Path(sys.prefix) / "bin" / "uv"
"""The real one, from dev.txt."""


@dataclass
class Job:
    """A copy of the action whose lock is a made-up one, and the environment of a job."""

    folder: Path
    environment: dict[str, str]

    @property
    def wheels(self):
        return self.folder / "wheels"

    @property
    def workspace(self):
        return self.folder / "workspace"

    def wheel(self, name, version="1", tag="py3-none-any", files=None):
        """Put a wheel into the index; return its line of a lock."""
        path = write_wheel(self.wheels, name, version, files=files)
        path = path.rename(path.with_name(f"{name}-{version}-{tag}.whl"))
        return line(path)

    def lock(self, *lines, name="runtime"):
        (self.folder / f"action/requirements/{name}.txt").write_text("".join(lines))

    def begin(self, **variables):
        """Start to prepare, in a process group of its own."""
        return subprocess.Popen(
            [BASH, self.folder / "action/launch.sh", "prepare"],
            env=self.environment | {"INPUT_RUNTIME": "python"} | variables,
            cwd=self.workspace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def prepare(self, **variables):
        process = self.begin(**variables)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    @property
    def venv(self):
        """The environment that was made."""
        (venv,) = (self.folder / "temp").glob("attested-publish-*")
        return venv

    def installed(self):
        """The names of what is in the environment that was made."""
        found = {path.name.partition("-")[0] for path in self.venv.glob("lib*/**/*.dist-info")}
        return found - {"pip", "setuptools"}

    def installers(self):
        """What has installed it, as PEP 627 has it written down."""
        files = self.venv.glob("lib*/**/locked-*.dist-info/INSTALLER")
        return {path.read_text().strip() for path in files}

    def use_python(self, program):
        """Put this Python on PATH; by a script, as a link would not be part of its environment."""
        path = self.folder / "bin" / "python3"
        path.unlink()
        path.write_text(f'#!{BASH}\nexec {shlex.quote(str(program))} "$@"\n')
        path.chmod(0o755)

    # uv.

    @property
    def asked_of_uv(self):
        """The command lines of uv, with the name of who was called."""
        log = self.folder / "asked-of-uv"
        return log.read_text().splitlines() if log.exists() else []

    def _script(self, path, who, text):
        path.write_text(
            f'#!{BASH}\nprintf "%s\\n" "{who} $*" >>{self.folder}/asked-of-uv\n{text}\n'
        )
        path.chmod(0o755)
        return path

    def put_uv_on_path(self, text=f'exec {UV} "$@"', folder="bin"):
        """Put a uv on PATH that is the real one, or does what `text` says instead."""
        return self._script(self.folder / folder / "uv", "path", text)

    def lock_uv(self, text=f'exec {UV} "$@"'):
        """Put a wheel with such a uv into the index, and lock it."""
        script = self._script(self.folder / "locked-uv", "locked", text)
        member = "uv-99.data/scripts/uv"
        path = write_wheel(self.wheels, "uv", "99", files={member: script.read_text()})
        self.lock(line(path), name="uv")


def line(path):
    """The line of a lock for a wheel."""
    name, version = path.name.split("-")[:2]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}\n"


def prepared_job(folder):
    """A job with this Python, an index in a folder, and no uv anywhere."""
    action = folder / "action"
    (action / "requirements").mkdir(parents=True)
    for name in ("launch.sh", "install.py"):
        shutil.copy(ROOT / name, action)
    for name in ("temp", "wheels", "home", "bin", "workspace"):
        (folder / name).mkdir()
    for name in TOOLS:
        (folder / "bin" / name).symlink_to(shutil.which(name))
    (folder / "bin" / "python3").symlink_to(sys.executable)
    kept = {
        name: value
        for name, value in without_a_job().items()
        if not name.startswith(("PIP_", "UV_", "SSL_CERT_")) and not name.endswith("_CA_BUNDLE")
    }
    environment = kept | {
        "PATH": str(folder / "bin"),
        "HOME": str(folder / "home"),
        "RUNNER_TEMP": str(folder / "temp"),
        "GITHUB_OUTPUT": str(folder / "output"),
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "PIP_NO_INDEX": "1",
    }
    job = Job(folder, environment)
    job.lock(job.wheel("locked"))
    job.lock("uv==99 --hash=sha256:" + "0" * 64 + "\n", name="uv")
    return job


def add_to(wheel, name, text):
    """Change a wheel after it was locked."""
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(name, text)
