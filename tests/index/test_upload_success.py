"""Which answers are taken as success; nothing is sent a second time to find out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Response

from attested_publish.index.index import Dialect
from attested_publish.index.upload import Outcome
from attested_publish.problems import UploadProblem
from support.counting_index import CountingIndex, Told, send
from support.makers import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

PYPI_PAGE = """\
<html>
 <head>
  <title>200 OK</title>
 </head>
 <body>
  <h1>200 OK</h1>
 </body>
</html>"""
DEVPI_ROOT = '<!DOCTYPE html>\n<html lang="en">\n  <head><title>devpi</title></head></html>'


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    ("status", "kind", "body", "is_doubtful"),
    [
        pytest.param(200, "text/html", PYPI_PAGE, False, id="PyPI"),
        pytest.param(200, "text/html", "", False, id="pypiserver"),
        pytest.param(200, "text/plain", "", False, id="devpi"),
        pytest.param(201, "application/json", '{"message": "201"}', False, id="GitLab"),
        pytest.param(201, "text/html", "", False, id="Gitea"),
        pytest.param(202, "text/html", "", False, id="Azure Artifacts"),
        pytest.param(204, "text/html", "", False, id="no content"),
        pytest.param(200, "application/json", '{"page": "<html>"}', False, id="JSON"),
        pytest.param(200, "text/plain", "stored", False, id="a word"),
        pytest.param(200, "text/html", "stored", False, id="a word called HTML"),
        pytest.param(201, "text/html", "<html>Created</html>", False, id="201 HTML"),
        pytest.param(200, "text/html", DEVPI_ROOT, True, id="devpi's root"),
        pytest.param(200, "text/plain", DEVPI_ROOT, True, id="called plain text"),
        pytest.param(200, "text/html", "<p>Welcome</p>", True, id="a portal"),
        pytest.param(203, "text/html", "<HTML>Sign in", True, id="a proxy's page"),
    ],
)
def test_what_a_success_is(
    *, dialect: Dialect, status: int, kind: str, body: str, is_doubtful: bool, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path)
    index = CountingIndex(seconds=0, answer=lambda *_: Response(body, status, content_type=kind))
    expected = Outcome.DOUBTFUL if is_doubtful else Outcome.UPLOADED
    assert send(tmp_path, index, dialect).done == {wheel.name: expected}
    assert index.filenames == [wheel.name], "sent once"


def test_a_wait_beyond_our_patience_is_told(tmp_path: Path) -> None:
    make_wheel(tmp_path)
    index = CountingIndex(
        seconds=0, answer=lambda *_: Response("no", 503, headers={"Retry-After": "7200"})
    )
    told = Told()
    with pytest.raises(UploadProblem) as caught:
        send(tmp_path, index, Dialect.OTHER, told=told)
    assert len(index.sent) == 1
    assert "asked to wait 120 minutes, longer than this run waits" in caught.value.detail
    assert caught.value.remedy.startswith("Wait 120 minutes before you run again. ")
    assert not caught.value.may_have_arrived


@pytest.mark.parametrize("reason", ["first byte timeout", "backend read error"])
def test_a_cache_that_gave_up_waiting_may_have_passed_it_on(reason: str, tmp_path: Path) -> None:
    make_wheel(tmp_path)
    index = CountingIndex(seconds=0, answer=lambda *_: Response("", f"503 {reason}"))
    with pytest.raises(UploadProblem) as caught:
        send(tmp_path, index, Dialect.PYPI, seconds=0.2)
    assert caught.value.may_have_arrived
