"""A release of this project, and how its users verify it: the commands of the page, run.

The registry is Debian's docker-registry, the clients are gh, cosign and pypi-attestations, and
Sigstore and PyPI are the embedded ones. What only GitHub does is replaced: the API that makes the
commit, the download of a release, and actions/attest, whose statements are signed here with
sigstore-python, and pushed with the package that it uses.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from attested_publish.attestations.slsa import provenance_predicate
from attested_publish.identity.tokens import understand
from support.e2e.commands import finished, run
from support.e2e.machine import unpacked
from support.e2e.packages import installed
from support.e2e.registry import Registry, running_registry
from support.e2e.world import World, pem, running_world
from support.environment import without_a_job
from support.github import REPOSITORY, TOKEN, GitHub
from support.independent import installed as node_packages
from support.independent import tool
from support.paths import ROOT, TESTS
from support.servers import serving
from support.sidecars import SLSA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

VERSION = "0.1.0"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml"
REF = "refs/heads/main"
SBOM = "https://cyclonedx.org/bom"
JOBS = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
PAGE = (ROOT / "docs" / "verifying-this-action.md").read_text(encoding="utf-8")


def script(job: str, step: str) -> str:
    """Return the commands of a step of the release workflow."""
    (found,) = (each["run"] for each in JOBS[job]["steps"] if each.get("name", "") == step)
    return found


@dataclass(frozen=True)
class Release:
    """A release, and the places where its users find its parts."""

    github: GitHub
    world: World
    registry: Registry
    commit: str
    """The released commit, which the tagged one has as its parent."""
    digests: dict[str, dict[str, str]]
    environment: dict[str, str]
    """Of a user: the clients are on PATH, and trust the embedded Sigstore."""

    @property
    def image(self) -> str:
        """The name of the images, without a digest."""
        return f"{self.registry.host}/us/attested-publish"

    def bash(self, commands: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run commands as a step of a workflow does."""
        return finished(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", commands),
            cwd=folder,
            env=self.environment | more,
            stderr=subprocess.STDOUT,
            timeout=200,
        )


@pytest.fixture(scope="module")
def release(action: Path, work: Path) -> Iterator[Release]:
    """Make a release as release.yml does, step by step."""
    folder = work / "release"
    folder.mkdir()
    with (
        installed("jq", "jq"),
        running_registry(folder) as registry,
    ):
        github = _repository(folder / "upstream", action)
        commit = github.git("rev-parse", "HEAD")
        claims = {
            "repository": REPOSITORY,
            "ref": REF,
            "workflow_ref": f"{WORKFLOW}@{REF}",
            "sha": commit,
        }
        with running_world(folder / "world", **claims) as world:
            digests = {
                target: registry.push_index("us/attested-publish", content=target)
                for target in ("program", "shell")
            }
            environment = _user(folder, world, work)
            made = Release(github, world, registry, commit, digests, environment)
            _attest_images(made, folder)
            _publish(made, folder)
            _files(made, folder)
            _tag(made, folder)
            yield made


def _repository(folder: Path, action: Path) -> GitHub:
    """This project as its default branch would be."""
    shutil.copytree(action, folder)
    github = GitHub(folder)
    github.git("init", "--quiet", "--initial-branch=main")
    github.git("add", "--all", "--force")
    github.git("commit", "--quiet", "--message=All")
    return github


def signed(world: World, subjects: list[dict[str, Any]], kind: str, predicate: Any) -> str:
    """Return the bundle of a statement that the world's job signs."""
    config = ClientTrustConfig.from_json(world.trust_config.read_text(encoding="utf-8"))
    config.force_tlog_version = 1
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": kind,
        "predicate": predicate,
    }
    context = SigningContext.from_trust_config(config)
    with context.signer(IdentityToken(world.identity_token("sigstore"))) as signer:
        return signer.sign_dsse(Statement(json.dumps(statement).encode())).to_json()


def attach(release: Release, folder: Path, digest: str, bundle: str, kind: str) -> None:
    """Push a bundle beside an image, with the package of actions/attest."""
    oci = TESTS / "e2e" / "oci"
    (folder / "bundle.json").write_text(bundle, encoding="utf-8")
    modules = node_packages(oci)
    arguments = (oci / "attach.mjs", modules, release.image, digest, folder / "bundle.json", kind)
    run(tool("node"), *map(str, arguments), cwd=str(folder), timeout=60)


def _predicates(release: Release, folder: Path) -> dict[str, Any]:
    run("make", "sbom", f"SBOM={folder / 'attested-publish.cdx.json'}", cwd=str(ROOT))
    return {
        SLSA: provenance_predicate(understand(release.world.identity_token("sigstore"))),
        SBOM: json.loads((folder / "attested-publish.cdx.json").read_text(encoding="utf-8")),
    }


def subject(release: Release, digest: str) -> dict[str, Any]:
    return {"name": release.image, "digest": {"sha256": digest.removeprefix("sha256:")}}


def _attest_images(release: Release, folder: Path) -> None:
    predicates = _predicates(release, folder)
    for digests in release.digests.values():
        for digest in digests.values():
            for kind, predicate in predicates.items():
                bundle = signed(release.world, [subject(release, digest)], kind, predicate)
                attach(release, folder, digest, bundle, kind)


def _publish(release: Release, folder: Path) -> None:
    clone = release.github.folder
    run(sys.executable, str(clone / "tools/build_distributions.py"), str(folder / "dist"))
    run(
        *(sys.executable, "-m", "attested_publish", "publish", str(folder / "dist")),
        *("--provenance", "--repository-url", release.world.upload_url),
        *("--sigstore-trust-config", str(release.world.trust_config)),
        env=without_a_job() | release.world.environment,
    )


def _files(release: Release, folder: Path) -> None:
    """Prepare the files as the jobs `distributions`, `files` and `attest-files` do."""
    files = folder / "files" / "release"
    shutil.copytree(folder / "dist", files)
    lock = run(sys.executable, str(ROOT / "tools/release_lock.py"), str(folder / "dist"))
    (files / "attested-publish.txt").write_text(lock, encoding="utf-8")
    shutil.copy(folder / "attested-publish.cdx.json", files)
    for image in ("program-amd64", "program-arm64", "shell-amd64", "shell-arm64"):
        shutil.copy(folder / "attested-publish.cdx.json", files / f"{image}.cdx.json")
    (files / "notes.md").write_text("Something.\n", encoding="utf-8")
    for step in (
        "Check that no file is missing, and none is there besides",
        "Name the images by digest, and add checksums",
    ):
        done = release.bash(
            script("files", step),
            files,
            VERSION=VERSION,
            IMAGE=release.image,
            DIGESTS=json.dumps(release.digests),
        )
        assert done.returncode == 0, done.stdout
    sums = [line.split() for line in (files / "SHA256SUMS").read_text().splitlines()]
    subjects = [{"name": name, "digest": {"sha256": digest}} for digest, name in sums]
    predicate = provenance_predicate(understand(release.world.identity_token("sigstore")))
    bundle = signed(release.world, subjects, SLSA, predicate)
    (files / "provenance.sigstore.json").write_text(bundle, encoding="utf-8")


def _tag(release: Release, folder: Path) -> None:
    (folder / "files" / "tools").symlink_to(release.github.folder / "tools")
    with serving(release.github) as server:
        said = release.bash(
            script("tag", "Commit and tag, signed by GitHub").replace("python3", sys.executable),
            folder / "files",
            VERSION=VERSION,
            GH_TOKEN=TOKEN,
            GITHUB_API_URL=server.url.rstrip("/"),
            GITHUB_REPOSITORY=REPOSITORY,
            GITHUB_SHA=release.commit,
        )
    assert said.returncode == 0, said.stdout


_WRAPPERS = {
    # Where the real ones ask GitHub, PyPI and the public Sigstore, these ask what replaces them.
    "gh": """
if [[ "$1 $2" == "attestation verify" ]]; then
  exec {gh} "$@" --custom-trusted-root {root}
fi
[[ "$1 $2 $3" == "release download v0.1.0" && "${{@: -2:1}}" == --dir ]]
cp -R {files} "${{@: -1}}"
""",
    # Version 2 wants the keys as variables, too.
    "cosign": """
export SIGSTORE_ROOT_FILE={authority} SIGSTORE_CT_LOG_PUBLIC_KEY_FILE={ct_log}
exec {cosign} "$@" --trusted-root {root}
""",
    "attested-publish": (
        'exec {python} -m attested_publish "$@" --index-url {index} '
        "--sigstore-trust-config {config}"
    ),
    "pypi-attestations": """
{python} -c '
import sys, requests
name = sys.argv[1]
url = "{index}".removesuffix("simple/") + f"integrity/attested-publish/0.1.0/{{name}}/provenance"
open("provenance-of-the-file.json", "w").write(requests.get(url, timeout=20).text)
' "${{@: -1}}"
exec {python} -m pypi_attestations "${{@:1:2}}" --offline \\
  --provenance-file provenance-of-the-file.json "${{@:3}}"
""",
    # Its virtual environment is that of these tests: another one would be the same.
    "make": 'exec {make} -o .venv/runtime BIN={bin} "$@"',
}


def _user(folder: Path, world: World, work: Path) -> dict[str, str]:
    """What a user has on PATH, and where it looks for what."""
    programs = folder / "bin"
    programs.mkdir()
    root = folder / "trusted_root.jsonl"
    trusted = json.loads((world.export / "trusted_root.json").read_text(encoding="utf-8"))
    root.write_text(json.dumps(trusted) + "\n", encoding="utf-8")
    authority, ct_log = folder / "authority.pem", folder / "ct-log.pem"
    chain = trusted["certificateAuthorities"][0]["certChain"]["certificates"]
    authority.write_text("".join(pem("CERTIFICATE", each) for each in chain))
    ct_log.write_text(pem("PUBLIC KEY", trusted["ctlogs"][0]["publicKey"]))
    known = {
        "authority": authority,
        "ct_log": ct_log,
        "gh": ROOT / ".venv/e2e/bin/gh",
        "cosign": shutil.which("cosign")
        or unpacked("cosign", "trixie", work / "cosign-of-release") / "usr/bin/cosign",
        "python": sys.executable,
        "make": shutil.which("make"),
        "bin": ROOT / ".venv/bin",
        "root": root,
        "files": folder / "files" / "release",
        "index": world.index_url,
        "config": world.trust_config,
    }
    for name, text in _WRAPPERS.items():
        commands = text.format(**known).strip()
        (programs / name).write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{commands}\n")
        (programs / name).chmod(0o755)
    cache = folder / "cache" / "sigstore-python/tuf/https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
    cache.mkdir(parents=True)
    shutil.copy(world.export / "trusted_root.json", cache)
    (folder / "home").mkdir()
    upstream = folder / "upstream"
    gitconfig = folder / "home" / ".gitconfig"
    gitconfig.write_text(
        f'[url "file://{upstream}"]\n\tinsteadOf = https://github.com/{REPOSITORY}\n'
        f"[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n"
    )
    venv = ROOT / ".venv" / "bin"
    return without_a_job() | {
        "PATH": f"{programs}:{venv}:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "GIT_CONFIG_GLOBAL": str(gitconfig),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_DATA_HOME": str(folder / "data"),
        "PIP_INDEX_URL": world.index_url,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NO_PROXY": "localhost,127.0.0.1",
        "GH_TOKEN": "of-nobody",
    }


def test_every_command_of_the_page_does_what_it_says(release: Release, tmp_path: Path) -> None:
    blocks = re.findall(r"^```console elsewhere\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = "\n".join(
        f"printf '%s\\n' {json.dumps('@@')}; {line[2:]}" for line in lines if line.startswith("$ ")
    )
    done = release.bash(commands, tmp_path)
    assert done.returncode == 0, done.stdout
    printed = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("$ ") and line not in printed] == []
    assert printed.count("@@") == sum(line.startswith("$ ") for line in lines)
    # What the page has shown is what there is.
    assert release.github.git("rev-parse", "v0.1.0^{commit}") in printed
    lock = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    (sigstore,) = re.findall(r"^sigstore==(\S+)", lock, re.MULTILINE)
    assert f"sigstore {sigstore}" in printed
    assert any(line.startswith("OK: attested_publish-0.1.0-py3") for line in printed)


@pytest.mark.parametrize(
    ("others", "created", "ends"),
    [
        ((), 0, "succeeds"),
        # An attestation that BuildKit adds, or an index of somebody else under the same name.
        (("c",), 0, "fails"),
        # What is there is of an earlier attempt.
        ((), 1, "fails"),
    ],
)
def test_an_index_is_of_the_two_images_and_nothing_else(
    tmp_path: Path, others: tuple[str, ...], created: int, ends: str
) -> None:
    digest = {letter: f"sha256:{letter * 64}" for letter in "abcdef"}
    manifests = [{"digest": digest[letter]} for letter in ("a", "b", *others)]
    shown = {"digest": digest["f"], "manifests": manifests}
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f"*' create '*) exit {created} ;;\n*' inspect '*) echo '{json.dumps(shown)}' ;;\nesac\n"
    )
    docker.chmod(0o755)
    output = tmp_path / "output"
    with installed("jq", "jq"):
        done = finished(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"),
            script("index", "Combine the images of both architectures under one name"),
            env=os.environ
            | {
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "IMAGE": "registry.example.com/us/image",
                "VERSION": VERSION,
                "USER": "somebody",
                "TOKEN": "of-nobody",
                "GITHUB_OUTPUT": str(output),
                **{
                    f"{target}_{architecture}": digest[letter]
                    for target in ("PROGRAM", "SHELL")
                    for architecture, letter in (("AMD64", "a"), ("ARM64", "b"))
                },
            },
            timeout=60,
        )
    if ends == "fails":
        assert done.returncode != 0
        assert not output.exists()
        return
    assert done.returncode == 0, done.stderr
    name, _, value = output.read_text().strip().partition("=")
    image = {"index": digest["f"], "amd64": digest["a"], "arm64": digest["b"]}
    assert (name, json.loads(value)) == ("digests", {"program": image, "shell": image})


@pytest.mark.parametrize(
    ("chosen", "gives"),
    [
        ({"TARGET": "shell", "MANIFEST": "arm64", "SBOM": "arm64"}, "digest=sha256:2\nsbom=12\n"),
        ({"TARGET": "shell", "MANIFEST": "index", "SBOM": "amd64"}, "digest=sha256:1\nsbom=11\n"),
        ({"TARGET": "program", "MANIFEST": "index", "SBOM": "amd64"}, ""),
        ({"TARGET": "shell", "MANIFEST": "s390x", "SBOM": "amd64"}, ""),
    ],
)
def test_an_attestation_is_for_the_digest_and_the_sbom_of_its_image_or_fails(
    tmp_path: Path, chosen: dict[str, str], gives: str
) -> None:
    output = tmp_path / "output"
    with installed("jq", "jq"):
        done = finished(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"),
            script("attest", "Choose the digest and the SBOM"),
            env=os.environ
            | chosen
            | {
                "DIGESTS": json.dumps({"shell": {"index": "sha256:1", "arm64": "sha256:2"}}),
                "SBOMS": json.dumps({"shell-amd64": "11", "shell-arm64": "12"}),
                "GITHUB_OUTPUT": str(output),
            },
            timeout=60,
        )
    assert (done.returncode == 0) == bool(gives), done.stderr
    assert (output.read_text() if output.exists() else "") == gives


def verify(release: Release, folder: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the step of the release that verifies the images before the tag is made."""
    step = "Provenance and SBOM of each manifest, by digest, with gh and with cosign"
    job = {
        "IMAGE": release.image,
        "DIGESTS": json.dumps(release.digests),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REF": REF,
        "GITHUB_SHA": release.commit,
    }
    return release.bash(script("verify", step), ROOT, **(job | changed))


def test_the_release_verifies_every_manifest_before_the_tag(
    release: Release, tmp_path: Path
) -> None:
    done = verify(release, tmp_path)
    assert done.returncode == 0, done.stdout
    for digests in release.digests.values():
        for digest in digests.values():
            for kind in (SLSA, SBOM):
                assert f"{release.image}@{digest}: {kind}" in done.stdout


@pytest.fixture(params=["gh", "cosign"])
def only(request: pytest.FixtureRequest, release: Release, tmp_path: Path) -> dict[str, str]:
    """A PATH with one of the two clients; the other one accepts anything."""
    other = ({"gh", "cosign"} - {request.param}).pop()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / other).symlink_to(shutil.which("true"))
    return {"PATH": f"{tmp_path / 'bin'}:{release.environment['PATH']}"}


@pytest.mark.parametrize(
    "expected",
    [
        {"GITHUB_REPOSITORY": "attested-publish/another"},
        {"GITHUB_REF": "refs/heads/another"},
        {"GITHUB_SHA": "0" * 40},
    ],
    ids=lambda expected: next(iter(expected)),
)
def test_each_client_refuses_what_another_job_has_made(
    release: Release, only: dict[str, str], tmp_path: Path, expected: dict[str, str]
) -> None:
    assert verify(release, tmp_path, **only).returncode == 0
    assert verify(release, tmp_path, **(only | expected)).returncode != 0


def test_each_client_refuses_an_image_without_attestations(
    release: Release, only: dict[str, str], tmp_path: Path
) -> None:
    pushed = release.registry.push_index("us/attested-publish", content=f"bare-{tmp_path.name}")
    done = verify(release, tmp_path, DIGESTS=json.dumps({"program": pushed}), **only)
    assert done.returncode != 0


def test_each_client_refuses_the_attestations_of_another_image(
    release: Release, only: dict[str, str], tmp_path: Path
) -> None:
    pushed = release.registry.push_index("us/attested-publish", content=f"other-{tmp_path.name}")
    for kind in (SLSA, SBOM):
        subjects = [subject(release, release.digests["program"]["index"])]
        bundle = signed(release.world, subjects, kind, {})
        for digest in pushed.values():
            attach(release, tmp_path, digest, bundle, kind)
    done = verify(release, tmp_path, DIGESTS=json.dumps({"program": pushed}), **only)
    assert done.returncode != 0


def test_an_image_without_sbom_is_refused(release: Release, tmp_path: Path) -> None:
    pushed = release.registry.push_index("us/attested-publish", content=tmp_path.name)
    predicate = provenance_predicate(understand(release.world.identity_token("sigstore")))
    for digest in pushed.values():
        bundle = signed(release.world, [subject(release, digest)], SLSA, predicate)
        attach(release, tmp_path, digest, bundle, SLSA)
    done = verify(release, tmp_path, DIGESTS=json.dumps({"program": pushed}))
    assert done.returncode != 0
    assert f"{SBOM}\n" in done.stdout
