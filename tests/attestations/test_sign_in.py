"""A person at a terminal signs with Sigstore's browser login, and nobody is asked elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pypi_attestations import Attestation
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from attested_publish.attestations.sign_in import SignIn
from attested_publish.identity.tokens import understand
from attested_publish.index.index import Index
from attested_publish.journey.attestation_plan import attestation_plan
from attested_publish.problems import IdentityProblem, NoIdentity, Topic
from attested_publish.rehearsal.jobs.person import EMAIL
from attested_publish.settings import Attestations
from support.environment import without_a_job
from support.releases import staged

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

BROWSER = """\
import sys, urllib.request
with open(sys.argv[1], "a") as visits:
    visits.write(sys.argv[2] + "\\n")
urllib.request.urlopen(sys.argv[2], timeout=20).read()
"""


def at_a_terminal(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run the command with a terminal of its own; return its status, and what it showed."""
    import pty

    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "attested_publish", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**without_a_job(), "NO_PROXY": "127.0.0.1,localhost", "TERM": "dumb", **variables},
    ) as running:
        os.close(theirs)
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # Linux: the other end is closed.
            pass
        finally:
            os.close(ours)
        return running.wait(30), shown.decode()


def browser(folder: Path) -> str:
    """Return what stands in for a browser: it goes where it is sent, and writes down where."""
    script = folder / "browser.py"
    script.write_text(BROWSER)
    return f"{sys.executable} {script} {folder / 'visits'} %s"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
def test_attest_with_the_browser(dist: Path) -> None:
    # As long as Sigstore's own tokens: a job's would be fetched again before each use.
    with staged(dist, identity_lifetime=50.0) as stage:
        attest_with_the_browser(stage)


def attest_with_the_browser(stage: Stage) -> None:
    folder = stage.folder.parent
    config = folder / "trust_config.json"
    config.write_text(stage.world.trust_config)
    status, shown = at_a_terminal(
        folder, "attest", "dist", f"--sigstore-trust-config={config}", BROWSER=browser(folder)
    )
    assert status == 0, shown
    told = " ".join(shown.split())
    assert "email address will be in each attestation" in told
    assert "No index accepts these attestations" in told
    assert "eyJ" not in shown
    assert len((folder / "visits").read_text().splitlines()) == 1, "nobody is asked twice"
    root = folder / "trusted_root.json"
    root.write_text(stage.world.trusted_root)
    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(root)))
    made = sorted(stage.folder.glob("*.publish.attestation"))
    assert len(made) == 2
    for path in made:
        attestation = Attestation.model_validate_json(path.read_bytes())
        who = Identity(identity=EMAIL, issuer="https://github.com/login/oauth")
        _, payload = verifier.verify_dsse(attestation.to_bundle(), who)
        assert json.loads(payload)["subject"][0]["name"] == path.name.removesuffix(
            ".publish.attestation"
        )


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
def test_publishing_never_asks_a_person(stage: Stage) -> None:
    folder = stage.folder.parent
    status, shown = at_a_terminal(
        folder,
        *("publish", "dist", f"--repository-url={stage.world.upload_url}"),
        BROWSER=browser(folder),
    )
    assert status == 1
    assert "There is no identity to publish with" in shown
    assert not (folder / "visits").exists()


def test_without_a_terminal_nobody_is_asked(stage: Stage) -> None:
    folder = stage.folder.parent
    done = subprocess.run(
        [sys.executable, "-m", "attested_publish", "attest", "dist"],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if "_" not in name},
            "BROWSER": browser(folder),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no identity" in done.stdout
    assert not (folder / "visits").exists()


def test_a_job_without_permission_is_told_so(stage: Stage) -> None:
    def forbidden(audience: str) -> str:
        raise NoIdentity("No", topic=Topic.NO_PERMISSION)

    with pytest.raises(NoIdentity, match="No"):
        SignIn(forbidden, stage.world.trust_config, pytest.fail)("sigstore")


def test_an_issuer_that_is_not_there_is_told(stage: Stage) -> None:
    def none(audience: str) -> str:
        raise NoIdentity("None", topic=Topic.NO_IDENTITY)

    stage.world.close()
    with pytest.raises(IdentityProblem, match="Nobody has signed in"):
        SignIn(none, stage.world.trust_config, lambda _: None)("sigstore")


def test_a_person_publishes_without_attestations_where_an_index_lets_them(stage: Stage) -> None:
    person = understand(stage.world.issuer.issue_to_person("sigstore"))
    assert person.as_json() == {"issuer": "https://github.com/login/oauth", "subject": EMAIL}
    index = Index.at("https://upload.pypi.org/legacy/")
    plan = attestation_plan(Attestations.AUTO, person, index, is_public_log=True)
    assert not plan.attest
    with pytest.raises(IdentityProblem, match="cannot be made"):
        attestation_plan(Attestations.REQUIRED, person, index, is_public_log=True)
