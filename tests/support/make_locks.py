"""Make the locks under tests/consumer/locks/made again, with the real tools and an embedded index.

    python -m venv /tmp/tools
    /tmp/tools/bin/pip install uv poetry pdm "hishel<2" pip-tools pipenv
    PYTHONPATH=tests .venv/bin/python -m support.make_locks /tmp/tools

The index's port becomes `PORT` in them: `support.lock_files` puts another one there.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.lock_files import MADE, PORT
from support.lock_packages import build_packages

DEPENDENCIES = '"aperture", "contrast", "fixer>=1", "dark-room[develop]"'


def main() -> int:
    """Make them all; the argument is a virtual environment with the tools."""
    tools = Path(sys.argv[1]).resolve() / "bin"
    only = sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        world = stack.enter_context(World(claims=job_claims({}, {}), registry=Registry.open()))
        publish(world, build_packages(Path(folder) / "dist"))
        for maker in (uv, poetry, pdm, pip_tools, pipenv):
            if only and maker.__name__ not in only:
                continue
            place = Path(folder) / maker.__name__
            place.mkdir()
            maker(Tool(tools, place, world.index_url))
    return 0


def publish(world: World, paths: list[Path]) -> None:
    """Upload distributions with twine, without attestations."""
    token = world.index.add_user_token()
    subprocess.run(
        [
            *(sys.executable, "-I", "-m", "twine", "upload", "--non-interactive"),
            *("--repository-url", world.upload_url, "-u", "__token__", "-p", token),
            *map(str, paths),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


class Tool:
    """Runs the tools in a folder, with the embedded index and no settings of the machine's."""

    def __init__(self, tools: Path, place: Path, index_url: str) -> None:
        self.tools = tools
        self.place = place
        self.index_url = index_url

    def write(self, name: str, text: str) -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def project(self, name: str, more: str = "", dependencies: str = DEPENDENCIES) -> None:
        self.write(
            f"{name}/pyproject.toml",
            f'[project]\nname = "album"\nversion = "1"\nrequires-python = ">=3.11,<4"\n'
            f"dependencies = [{dependencies}]\n{more}",
        )

    def __call__(self, name: str, command: str, *arguments: str) -> None:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PIP_", "UV_", "PDM_", "POETRY_", "PIPENV_", "VIRTUAL_ENV"))
        }
        subprocess.run(
            [str(self.tools / command), *arguments],
            cwd=self.place / name,
            check=True,
            env={
                **kept,
                "PATH": f"{self.tools}:{kept['PATH']}",
                "HOME": str(self.place / "home"),
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_INDEX_URL": self.index_url,
                "PIP_NO_CACHE_DIR": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
                "WORKON_HOME": str(self.place / "environments"),
                "PIPENV_IGNORE_VIRTUALENVS": "1",
                "POETRY_VIRTUALENVS_CREATE": "false",
                "PDM_CHECK_UPDATE": "0",
                "UV_NO_CONFIG": "0",
                "UV_PYTHON_DOWNLOADS": "never",
            },
        )

    def keep(self, source: str, target: str) -> None:
        text = (self.place / source).read_text(encoding="utf-8")
        text = re.sub(r"(?<=127\.0\.0\.1:)\d+", PORT, text)
        text = text.replace(str(self.place), "/album")
        path = MADE / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def uv(tool: Tool) -> None:
    """uv: its own lock, one of a workspace, and what it exports and compiles."""
    index = f'[[tool.uv.index]]\nname = "embedded"\nurl = "{tool.index_url}"\ndefault = true\n'
    tool.project("plain", index)
    tool("plain", "uv", "lock")
    tool.keep("plain/uv.lock", "uv/uv.lock")
    tool("plain", "uv", "export", "--format", "pylock.toml", "-o", "pylock.toml", "-q")
    tool.keep("plain/pylock.toml", "uv-export/pylock.toml")
    tool("plain", "uv", "export", "--format", "requirements.txt", "-o", "all.txt", "-q")
    tool.keep("plain/all.txt", "uv-export/requirements.txt")
    tool.write("compiled/requirements.in", "halo\naperture<2\nfixer==1.0\n")
    tool(
        "compiled", "uv", "pip", "compile", "--generate-hashes", "--emit-index-url", "--universal",
        "--default-index", tool.index_url, "requirements.in", "-o", "requirements.txt", "-q",
    )  # fmt: skip
    tool.keep("compiled/requirements.txt", "uv-compile/requirements.txt")
    tool(
        "compiled", "uv", "pip", "compile", "--format", "pylock.toml", "--universal",
        "--default-index", tool.index_url, "requirements.in", "-o", "pylock.dev.toml", "-q",
    )  # fmt: skip
    tool.keep("compiled/pylock.dev.toml", "uv-compile/pylock.dev.toml")
    build = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
    tool.project(
        "workspace",
        f'{index}[tool.uv.workspace]\nmembers = ["lens"]\n'
        "[tool.uv.sources]\nlens = { workspace = true }\n",
        '"lens", "halo"',
    )
    tool.write(
        "workspace/lens/pyproject.toml",
        f'[project]\nname = "lens"\nversion = "3"\nrequires-python = ">=3.11"\n'
        f'dependencies = ["brightness"]\n{build}',
    )
    tool("workspace", "uv", "lock")
    tool.keep("workspace/uv.lock", "uv-workspace/uv.lock")


def poetry(tool: Tool) -> None:
    """Poetry: with its own index as the primary one, and with a group."""
    source = f'[[tool.poetry.source]]\nname = "embedded"\nurl = "{tool.index_url}"\n'
    tool.project("plain", f"[tool.poetry]\npackage-mode = false\n{source}")
    tool("plain", "poetry", "lock", "-n", "-q")
    tool.keep("plain/poetry.lock", "poetry/poetry.lock")
    tool.project(
        "groups",
        f"[tool.poetry]\npackage-mode = false\n{source}"
        '[tool.poetry.group.dev.dependencies]\nhalo = "*"\n',
        '"fixer"',
    )
    tool("groups", "poetry", "lock", "-n", "-q")
    tool.keep("groups/poetry.lock", "poetry-groups/poetry.lock")


def pdm(tool: Tool) -> None:
    """PDM: files by name, files by address, and its own pylock.toml."""
    source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{tool.index_url}"\nverify_ssl = false\n'
    for name, options in (
        ("plain", ()),
        ("static", ("-S", "static_urls")),
    ):
        tool.project(name, f"[tool.pdm]\ndistribution = false\n{source}")
        tool(name, "pdm", "lock", *options)
        tool.keep(f"{name}/pdm.lock", f"pdm-{name}/pdm.lock")
    tool.project("pylock", f"[tool.pdm]\ndistribution = false\n{source}")
    tool("pylock", "pdm", "config", "-l", "lock.format", "pylock")
    tool("pylock", "pdm", "lock")
    tool.keep("pylock/pylock.toml", "pdm-pylock/pylock.toml")


def pip_tools(tool: Tool) -> None:
    """pip-compile: one file, and one that is constrained by and includes another."""
    tool.write("plain/requirements.in", "aperture\ncontrast\ndark-room[develop]\n")
    tool.write("plain/dev.in", "-c requirements.txt\nfixer\nbrightness\n")
    for name in ("requirements", "dev"):
        tool(
            "plain", "pip-compile", "--generate-hashes", "--emit-index-url", "--quiet",
            "--no-strip-extras", "--index-url", tool.index_url, f"{name}.in", "-o", f"{name}.txt",
        )  # fmt: skip
        tool.keep(f"plain/{name}.txt", f"pip-compile/{name}.txt")


def pipenv(tool: Tool) -> None:
    """Pipenv: one source, and two, with a category of its own."""
    source = '[[source]]\nname = "{}"\nurl = "{}"\nverify_ssl = false\n'
    tool.write(
        "plain/Pipfile",
        f'{source.format("pypi", tool.index_url)}[packages]\naperture = "*"\nfixer = "*"\n'
        '[dev-packages]\nhalo = "*"\n',
    )
    tool("plain", "pipenv", "lock", "-q")
    tool.keep("plain/Pipfile.lock", "pipenv/Pipfile.lock")
    tool.write(
        "two/Pipfile",
        f"{source.format('pypi', tool.index_url)}{source.format('again', tool.index_url)}"
        '[packages]\naperture = "*"\ncontrast = {version = "*", index = "again"}\n'
        '[docs]\nemulsion = "*"\n',
    )
    tool("two", "pipenv", "lock", "-q", "--categories", "packages docs")
    tool.keep("two/Pipfile.lock", "pipenv-two/Pipfile.lock")


if __name__ == "__main__":
    sys.exit(main())
