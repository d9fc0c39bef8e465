"""Pages for which an index asks for credentials, read by several threads."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.index import Index
from attested_publish.index.pages import Pages
from attested_publish.net.http import new_session
from attested_publish.net.parallel import in_parallel
from support.servers import serving

LINK = f'<a href="{{project}}-1.0.tar.gz#sha256={"1f" * 32}">x</a>'


@dataclass
class Closed:
    """Shows its pages to somebody with a password only.

    Who asks without one for the page of `late` is answered once another page has been shown.
    """

    late: str = ""
    has: tuple[str, ...] = ("first", "second")
    asked: list[tuple[str, bool]] = field(default_factory=list)
    """The projects, and whether there was a password."""
    _shown: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ, start_response):
        request = Request(environ)
        project = request.path.strip("/").rpartition("/")[2]
        is_known = request.authorization is not None
        self.asked.append((project, is_known))
        if not is_known:
            if project == self.late and self._shown.wait(10):
                # What was shown has to arrive first.
                time.sleep(0.3)
            answer = Response("", 401, {"WWW-Authenticate": 'Basic realm="x"'})
        elif project in self.has:
            answer = Response(LINK.format(project=project), content_type="text/html")
            self._shown.set()
        else:
            answer = Response("nothing here", 404)
        return answer(environ, start_response)


@pytest.mark.parametrize("late", ["first", "second"])
def test_each_thread_gets_in_whatever_the_others_find_out_meanwhile(late: str) -> None:
    with serving(Closed(late)) as server, new_session() as session:
        index = Index.at(f"{server.url}/legacy/")
        pages = Pages(index, session, GivenCredentials("me", "secret"))
        found = dict(in_parallel(pages.page, ["first", "second"], threads=2))
    assert [list(found[name].files) for name in ("first", "second")] == [
        ["first-1.0.tar.gz"],
        ["second-1.0.tar.gz"],
    ]


def test_that_pages_are_closed_is_found_out_once_also_from_a_project_that_is_new() -> None:
    closed = Closed(has=())
    with serving(closed) as server, new_session() as session:
        pages = Pages(Index.at(f"{server.url}/x/"), session, GivenCredentials("me", "secret"))
        assert pages.page("new") is None
        first = len(closed.asked)
        assert pages.page("newer") is None
    assert [is_known for _, is_known in closed.asked].count(False) == 1
    assert len(closed.asked) == 2 * first - 1
