"""What is known of a file after an answer was lost, by what the index says to the next try."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Response

from attested_publish.distributions import copy_privately
from attested_publish.index.contents import New
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.index import Dialect, Index
from attested_publish.index.upload import Delivery, Outcome, upload
from attested_publish.problems import Problem, UploadProblem, UploadRefused
from attested_publish.sandbox.pool import shared_sandbox
from support.counting_index import CountingIndex, Told, send
from support.makers import make_wheel
from support.releases import deadlines

if TYPE_CHECKING:
    from pathlib import Path

TAKEN = "File already exists ('sample-1.0-py3-none-any.whl', with blake2_256 hash 'f632')."


def taken_after_failure(_: str, before: int) -> Response:
    return Response(TAKEN, 400) if before else Response("no", 500)


@pytest.mark.parametrize(("dialect", "may_have_arrived"), [("pypi", False), ("other", True)])
def test_a_name_that_others_took_meanwhile(
    dialect: str, *, may_have_arrived: bool, tmp_path: Path
) -> None:
    """PyPI refuses other bytes only; another index may refuse those of the first try."""
    wheel = make_wheel(tmp_path).name
    told = Told()
    index = CountingIndex(seconds=0, answer=taken_after_failure)
    with pytest.raises(UploadRefused):
        send(tmp_path, index, Dialect(dialect), seconds=5.0, told=told)
    assert len(index.sent) == 2
    assert told.failed[wheel].may_have_arrived is may_have_arrived


def test_the_bytes_of_an_own_earlier_try_are_not_called_those_of_another_run(
    tmp_path: Path,
) -> None:
    """Its page shows them only after the second try was refused."""
    wheel = make_wheel(tmp_path).name
    asked = []

    def is_there(_: object) -> bool:
        asked.append(None)
        return len(asked) > 1

    index = CountingIndex(seconds=0, answer=taken_after_failure)
    told = send(tmp_path, index, Dialect.OTHER, seconds=5.0, is_there=is_there)
    assert told.done == {wheel: Outcome.UPLOADED}
    assert len(index.sent) == 2


USED = (
    "This filename was previously used by a file that has since been deleted. Use a different "
    "version. See https://pypi.org/help/#file-name-reuse for more information."
)


def test_pypi_refuses_the_name_while_it_commits_the_same_bytes(tmp_path: Path) -> None:
    """It looks for the file before, and for its name after another transaction has ended."""
    wheel = make_wheel(tmp_path).name
    index = CountingIndex(seconds=0, answer=lambda *_: Response(USED, 400))
    told = send(tmp_path, index, Dialect.PYPI, is_there=lambda _: True)
    assert told.done == {wheel: Outcome.THERE}
    with pytest.raises(UploadRefused):
        send(tmp_path, index, Dialect.PYPI)


def test_what_was_never_sent_has_not_arrived(tmp_path: Path) -> None:
    make_wheel(tmp_path)
    failed: list[Problem] = []
    with socket.socket() as closed, copy_privately([tmp_path]) as staged:
        # Bound, but nobody listens.
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(UploadProblem) as caught:
            upload(
                staged.distributions,
                {},
                Delivery(
                    index=Index.at(
                        f"http://127.0.0.1:{closed.getsockname()[1]}/legacy/", Dialect.PYPI
                    ),
                    credentials=GivenCredentials("__token__", "secret"),
                    parallel=1,
                    skip_existing=False,
                    deadlines=deadlines(0.2),
                    is_there=lambda _: False,
                    tell=lambda _: None,
                    sandbox=shared_sandbox(),
                ),
                new=New(),
                begun=lambda _: None,
                done=lambda *_: None,
                failed=lambda _, problem: failed.append(problem),
            )
    assert not caught.value.may_have_arrived
    assert failed == [caught.value]
    assert "may or may not" not in caught.value.remedy
