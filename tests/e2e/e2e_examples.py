"""The example workflows with SLSA provenance, run whole, on the embedded services.

The only change is which index and which Sigstore are meant.
"""

from __future__ import annotations

import pytest

from support.e2e.act import Caller, on_the_embedded_services, stand_ins_for
from support.e2e.world import secrets_in
from support.paths import ROOT
from support.sidecars import PUBLISH, SLSA

pytestmark = pytest.mark.usefixtures("default_image")

_EXAMPLES = ROOT / "docs" / "examples"

PROJECT = {
    "pyproject.toml": """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "sample"
version = "1.0.0"
""",
    "backend.py": """\
import io, pathlib, tarfile, zipfile

METADATA = b"Metadata-Version: 2.1\\nName: sample\\nVersion: 1.0.0\\n"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "sample-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        members = {
            "sample/__init__.py": b"",
            "sample-1.0.0.dist-info/METADATA": METADATA,
            "sample-1.0.0.dist-info/WHEEL":
                b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        }
        record = "sample-1.0.0.dist-info/RECORD"
        members[record] = "".join(f"{each},,\\n" for each in [*members, record]).encode()
        for path, content in members.items():
            wheel.writestr(path, content)
    return name

def build_sdist(folder, config_settings=None):
    name = "sample-1.0.0.tar.gz"
    with tarfile.open(pathlib.Path(folder, name), "w:gz") as sdist:
        for path in ("PKG-INFO", "pyproject.toml", "backend.py"):
            content = METADATA if path == "PKG-INFO" else pathlib.Path(path).read_bytes()
            info = tarfile.TarInfo(f"sample-1.0.0/{path}")
            info.size = len(content)
            sdist.addfile(info, io.BytesIO(content))
    return name
""",
}


@pytest.mark.parametrize("example", ["provenance", "attest-where-built"])
def test_both_attestations_come_from_one_run(example, world, machine, action, tmp_path):
    text = (_EXAMPLES / f"{example}.yml").read_text()
    # act checks out itself.
    stand_ins = {
        name: folder for name, folder in stand_ins_for(text).items() if folder.name != "checkout"
    }
    assert len(stand_ins) == 3
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    path = f".github/workflows/{example}.yml"
    caller = Caller(
        tmp_path, nothing, action, machine, {**PROJECT, path: on_the_embedded_services(text)}
    )
    outcome = caller.run(example, world, "docker", actions=stand_ins)
    assert outcome.succeeded, outcome.log
    assert world.verified("sample", (PUBLISH, SLSA)).keys() == {
        "sample-1.0.0-py3-none-any.whl",
        "sample-1.0.0.tar.gz",
    }
    # Each is signed once, by the job that the example has for it.
    assert outcome.log.count("two logged signatures for each file") == 1
    by_the_builder = "valid for sample-1.0.0.tar.gz" in outcome.log
    assert by_the_builder == (example == "attest-where-built")
    assert secrets_in(outcome.log, world.request_token) == []
