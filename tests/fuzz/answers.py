"""A hostile index: the embedded one, behind a proxy that changes its answers."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

import requests
from rich.console import Console
from werkzeug.wrappers import Request, Response

from attested_publish.consumer.expected import Expected
from attested_publish.fronts import verify as verify_command
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.outcome import report_of
from attested_publish.journey.targets import Targets
from attested_publish.rehearsal.serving import Server
from attested_publish.settings import understand
from fuzz.documents import as_bytes, changed
from fuzz.texts import damaged, encoded, text, word
from support.releases import deadlines, run, run_to

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from attested_publish.report import Report
    from support.releases import Stage

_IMPATIENT = deadlines(0.3, answer=2.0)
_STATUS = (200, 200, 201, 204, 302, 400, 401, 403, 404, 405, 409, 422, 429, 500, 503, 599)
_TYPES = ("application/json", "text/html", "text/plain", "application/vnd.pypi.simple.v1+json", "x")


class HostileIndex:
    """Stands before the index of a stage, which has a published release."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._world_root = stage.world.upload_url.removesuffix("/legacy/")
        self._chance: random.Random | None = None
        self._server = Server(self._app)
        self._server.start()
        self._session = requests.Session()

    def close(self) -> None:
        self._server.stop()

    def _app(self, environ: dict, start_response: object) -> Iterable[bytes]:
        request = Request(environ)
        headers = {
            name: value
            for name, value in request.headers
            if name.lower() not in {"host", "connection", "accept-encoding"}
        }
        answer = self._session.request(
            request.method,
            self._world_root + request.full_path,
            data=request.get_data(),
            headers=headers,
            timeout=10,
        )
        content = answer.content.replace(self._world_root.encode(), self._server.url.encode())
        response = Response(
            content, status=answer.status_code, content_type=answer.headers.get("Content-Type")
        )
        if self._chance is not None and self._chance.random() < 0.5:
            _change(self._chance, response)
        return response(environ, start_response)

    def hold(self, chance: random.Random) -> Iterable[tuple[Report, str]]:
        """Check a release and verify one; give the reports, and what was printed."""
        self._chance = chance
        upload_url = f"{self._server.url}/legacy/"
        settings = understand(
            {"packages-dir": str(self.stage.folder), "repository-url": upload_url}
        )
        world = self.stage.world
        targets = Targets(
            Index.at(upload_url), world.trust_config, ambient=world.ambient, deadlines=_IMPATIENT
        )
        yield run(publish.check, settings, targets)
        printed = io.StringIO()
        wanted_run = run_to(targets, settings, Console(file=printed, width=200), mode="verify")
        wanted = verify_command.read_targets(["sample"])
        carry_out(
            lambda: verify_command.verify(wanted_run, wanted, Expected()) and None, wanted_run
        )
        yield report_of(wanted_run), printed.getvalue()


def _change(chance: random.Random, response: Response) -> None:
    content = response.get_data()
    match chance.randrange(6):
        case 0:
            response.status_code = chance.choice(_STATUS)
        case 1:
            content = encoded(chance, text(chance, 60_000))
            response.content_type = chance.choice(_TYPES)
        case 2:
            said = word(chance).encode("latin-1", "replace").decode("latin-1")
            response.status = f"{chance.choice(_STATUS)} {' '.join(said.split())}"
        case 3:
            content = damaged(chance, content)
        case _:
            try:
                document = json.loads(content)
            except ValueError:
                document = {"errors": [{"code": "invalid-publisher", "description": "x"}]}
            content = as_bytes(chance, changed(chance, document))
    if chance.random() < 0.1:
        response.status_code = chance.choice(_STATUS)
    if chance.random() < 0.1:
        response.headers["Content-Encoding"] = "gzip"
        content = gzip.compress(content) if chance.random() < 0.7 else content
    if chance.random() < 0.1:
        response.headers["Retry-After"] = chance.choice(("0", "-1", "9" * 30, "x", "1e9"))
    response.set_data(content)
