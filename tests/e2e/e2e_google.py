"""A machine of Google Cloud: its name for the host that it asks, and what tells that it is one."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from pypi_attestations import GooglePublisher

from support.e2e.commands import run
from support.e2e.world import running_world, secrets_in
from support.environment import without_a_job
from support.provenance import verified

_ACCOUNT = "release@sample-project.iam.gserviceaccount.com"
_METADATA = "127.0.0.80"
"""An address of this machine that nothing else listens at."""

# In mounts of its own: names of hosts, and what the firmware says of the machine.
_LOOK_LIKE_ONE = """\
set -eu
mount --bind "$1" /etc/hosts
mount -t tmpfs none /sys/class
mkdir -p /sys/class/dmi/id
echo 'Google Compute Engine' > /sys/class/dmi/id/product_name
shift
exec "$@"
"""


@pytest.fixture
def world(tmp_path):
    rows = tmp_path / "registry.json"
    row = {"kind": "Google", "email": _ACCOUNT, "projects": ["sample"]}
    rows.write_text(json.dumps({"publishers": [row]}))
    # Empty: the claims of GitHub that the other tests pretend.
    github = {"repository": "", "ref": "", "workflow_ref": ""}
    options = ("--job=google", f"--registry={rows}")
    with running_world(tmp_path / "world", *options, email=_ACCOUNT, **github) as world:
        yield world


@contextmanager
def answering_for(issuer):
    """Hand requests at the metadata host's address and port on to an issuer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path.partition("?")[0])
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            answer = requests.get(f"{issuer}{self.path}", headers=headers, timeout=20)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_):
            pass

    asked = []
    with ThreadingHTTPServer((_METADATA, 80), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield asked
        finally:
            server.shutdown()


def test_a_machine_publishes(world, dist, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{_METADATA} metadata\n")
    config = json.loads(world.trust_config.read_text())["signingConfig"]
    with answering_for(config["oidcUrls"][0]["url"]) as asked:
        log = run(
            *("unshare", "--mount", "sh", "-c", _LOOK_LIKE_ONE, "sh", str(hosts)),
            *(sys.executable, "-m", "attested_publish", "publish", str(dist)),
            *("--repository-url", world.upload_url),
            *("--sigstore-trust-config", str(world.trust_config)),
            env={**without_a_job(), "NO_PROXY": "127.0.0.1"},
            cwd=tmp_path,
        )
    assert set(asked) == {"/computeMetadata/v1/instance/service-accounts/default/identity"}
    assert f"Google Cloud, {_ACCOUNT}" in log
    assert secrets_in(log) == []
    served = verified(world.served("sample"), world.export / "trusted_root.json")
    assert served.keys() == {path.name for path in dist.iterdir()}
    for provenance in served.values():
        assert provenance.attestation_bundles[0].publisher == GooglePublisher(email=_ACCOUNT)
