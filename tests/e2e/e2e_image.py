"""What is in the image and in the one with a shell, and that nothing is missing there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.e2e.commands import finished
from support.e2e.contents import contents
from support.environment import without_a_job

_SCRIPT = Path(__file__).parent / "in_the_image.py"
_INSTALLERS = {"pip", "pip3", "uv", "apt", "apt-get", "dpkg", "ensurepip", "easy_install", "conda"}
_SHELLS = {"sh", "bash", "dash", "ash", "busybox", "zsh", "perl"}
# Of other systems, or gone from newer Pythons: what imports these can do without.
_NOWHERE_HERE = {
    *("msvcrt", "winreg", "_winapi", "nt", "asyncio.windows_events"),
    *("distutils", "imp"),
}


@pytest.fixture(scope="session")
def known(machine, images):
    """What each image consists of."""
    return {target: contents(machine, image) for target, image in images.items()}


@pytest.fixture(params=["program", "shell"])
def target(request):
    return request.param


def test_the_layers_are_small(known):
    assert sum(known["program"].layers) <= 40e6
    assert sum(known["shell"].layers) <= 45e6
    # Whoever has one has most of the other.
    assert known["shell"].layers[: len(known["program"].layers)] == known["program"].layers


def test_the_same_source_makes_the_same_layers(machine, action, images, tmp_path):
    """From nothing, later, and from a checkout of somebody who keeps files private, and edits some.

    What differs is the time of the build, in the image's configuration.
    """
    checkout = tmp_path / "checkout"
    shutil.copytree(action, checkout, copy_function=shutil.copyfile)
    for path in checkout.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    package = checkout / "src" / "attested_publish"
    (package / "__pycache__").mkdir(exist_ok=True)
    for name in ("__pycache__/cli.pyc", ".cli.py.swp", "cli.py~", "../../notes.txt"):
        (package / name).touch()
    again = f"{images['shell']}-again"
    options = ("--no-cache", *machine.build_arguments.split())
    machine.docker("build", *options, "--target", "shell", "--tag", again, str(checkout))
    first, second = (
        json.loads(
            machine.docker("image", "inspect", "--format", "{{ json .RootFS.Layers }}", name)
        )
        for name in (images["shell"], again)
    )
    assert len(first) == 3
    assert first == second


def test_what_is_left_out(known, target):
    files = known[target].files
    assert not _INSTALLERS & known[target].programs
    assert bool(_SHELLS & known[target].programs) == (target == "shell")
    # Debian's /bin is a link, which scripts that start with #!/bin/sh rely on.
    assert ("bin" in files) == (target == "shell")
    packages = {path.split("/site-packages/")[1] for path in files if "/site-packages/" in path}
    assert not {"pip", "uv", "setuptools"} & packages
    for name in ("ensurepip", "venv", "idlelib", "tkinter", "test"):
        assert not [path for path in files if f"python3.13/{name}" in path and "site-" not in path]
    assert [path for path, file in files.items() if file.mode & 0o6000] == []
    writable = [path for path, file in files.items() if file.mode & 0o002 and not file.issym()]
    assert writable == ["tmp"]
    assert files["tmp"].mode & 0o7777 == 0o1777
    assert files["root"].mode & 0o7777 == 0o700


def test_every_module_has_its_bytecode(known):
    files = known["program"].files
    sources = [Path(path) for path in files if path.endswith(".py")]
    assert len(sources) > 1000
    compiled = {str(Path(path).parent) for path in files if path.endswith(".pyc")}
    lacking = {path for path in sources if f"{path.parent}/__pycache__" not in compiled}
    assert [path for path in lacking if path.name != "entrypoint.py"] == []


def test_scanners_find_what_it_is_made_of(known, target):
    files = known[target].files
    records = {Path(path).name for path in files if path.startswith("var/lib/dpkg/status.d/")}
    assert {"libc6", "zlib1g"} <= records
    assert ("bash" in records) == (target == "shell")
    for name in records:
        copyright_file = f"usr/share/doc/{name}/copyright"
        # Some packages share another one's folder.
        assert copyright_file in files or files[f"usr/share/doc/{name}"].issym()
    assert "usr/lib/os-release" in files
    installed = {Path(path).name.partition("-")[0] for path in files if path.endswith(".dist-info")}
    assert {"attested_publish", "cryptography", "sigstore", "twine"} <= installed


def test_all_that_the_program_may_need_is_there(machine, images, target):
    with _SCRIPT.open(encoding="utf-8") as script:
        done = finished(
            *("docker", "run", "--rm", "--interactive", "--network", "none", "--read-only"),
            *("--entrypoint", "python", images[target], "-I", "-"),
            env=without_a_job() | machine.environment,
            stdin=script,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["modules"] > 500
    assert found["standard"] > 100
    assert set(found["failed"]) <= _NOWHERE_HERE
    assert found["certificates"] == certificates_of_the_base(machine)
    assert "127.0.0.1" in found["localhost"]
    assert found["user"] == "root"
    assert found["texts"] == dict.fromkeys(["", "C", "C.UTF-8", "en_US.UTF-8"], "✓ é 日本 utf-8")
    assert "__pycache__" in found["bytecode"]


def certificates_of_the_base(machine):
    """SHA-256 of each certificate that the base image's OpenSSL trusts."""
    bundle = machine.docker(
        *("run", "--rm", "--entrypoint", "python", machine.base, "-I", "-c"),
        "import ssl, hashlib; context = ssl.create_default_context();"
        "context.load_verify_locations('/etc/ssl/certs/ca-certificates.crt');"
        "found = context.get_ca_certs(binary_form=True);"
        "print(*sorted(hashlib.sha256(each).hexdigest() for each in found))",
    )
    return bundle.split()


def test_a_rehearsal_without_network_and_with_nothing_to_write_to_but_tmp(machine, images, target):
    said = machine.docker(
        *("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp:size=300m"),
        *("--user", "12345:12345", "--cap-drop", "ALL", images[target], "rehearse"),
    )
    assert said.count("served, with the right digest and provenance") == 2
