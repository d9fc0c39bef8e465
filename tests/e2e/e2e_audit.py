"""`make audit` with the real pip-audit, which asks a server here instead of OSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import audit
import pytest
from werkzeug.wrappers import Request, Response

from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VULNERABILITY = {
    "id": "PYSEC-1",
    "aliases": ["CVE-1"],
    "summary": "Nothing works.",
    "affected": [
        {
            "package": {"name": "alpha", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]},
            ],
        }
    ],
}
LOCK = """\
alpha==1.0 ; sys_platform == 'no such system' \\
    --hash=sha256:00
alpha==1.1 \\
    --hash=sha256:00
beta==2.0 \\
    --hash=sha256:00
"""
ACCEPTED = """\
[[accepted]]
id = "CVE-1"
package = "alpha"
reason = "That system does not exist."
until = 9999-12-31
"""


class Database:
    """Answers like OSV, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()
        self.vulnerable = {("alpha", "1.0")}
        self.status = 200

    @Request.application
    def __call__(self, request: Request) -> Response:
        query = json.loads(request.get_data())
        pin = (query["package"]["name"], query["version"])
        self.asked.add(pin)
        found = {"vulns": [VULNERABILITY]} if pin in self.vulnerable else {}
        return Response(json.dumps(found), status=self.status, mimetype="application/json")


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def run(
    database: Database, tmp_path: Path, capsys: Any
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    with serving(database) as server:

        def run(accepted: str = "", lock: str = LOCK, url: str = "") -> tuple[int, str, str]:
            (tmp_path / "runtime.txt").write_text(lock)
            (tmp_path / "audit.toml").write_text(accepted)
            status = audit.main(["--osv-url", url or server.url, "--locks", str(tmp_path)])
            return status, *capsys.readouterr()

        yield run


def test_a_vulnerability_of_another_platforms_package_is_found(
    run: Any, database: Database
) -> None:
    status, _, said = run()
    assert status == 1
    assert said == "alpha 1.0: PYSEC-1 CVE-1, fixed in 1.1\n"
    assert database.asked == {("alpha", "1.0"), ("alpha", "1.1"), ("beta", "2.0")}


def test_an_accepted_one_is_named_with_its_reason(run: Any) -> None:
    status, told, said = run(ACCEPTED)
    assert (status, said) == (0, "")
    assert "3 packages of runtime.txt" in told
    assert "alpha: CVE-1 is accepted until 9999-12-31: That system does not exist." in told


def test_what_is_no_longer_found_must_not_stay_accepted(run: Any, database: Database) -> None:
    database.vulnerable.clear()
    assert run()[0] == 0
    assert run(ACCEPTED)[0] == 1


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_that_is_none_is_no_all_clear(run: Any, database: Database, status: int) -> None:
    database.status = status
    database.vulnerable.clear()
    code, told, said = run()
    assert (code, told) == (1, "")
    assert said.startswith("The locks were not audited: pip-audit failed: ")


def test_a_database_that_is_not_there_is_no_all_clear(run: Any) -> None:
    code, told, said = run(url="http://127.0.0.1:1/v1/query")
    assert (code, told) == (1, "")
    assert "ConnectionError" in said
    assert len(said.splitlines()) == 1


def test_a_lock_that_cannot_be_read_is_no_all_clear(run: Any) -> None:
    code, told, said = run(lock="alpha==1.1\nbeta==not-a-version\n")
    assert (code, told) == (1, "")
    assert "pip-audit failed: " in said
    assert "beta==not-a-version" in said
    assert len(said.splitlines()) == 1


def test_a_package_that_the_answer_leaves_out_is_no_all_clear(run: Any) -> None:
    # pip-audit answers with the usual spelling, so this name is not in its answer.
    code, told, said = run(lock="alpha==1.1\nBeta_Two==2.0\n")
    assert (code, told) == (1, "")
    assert said.endswith("these packages could not be looked up: Beta_Two 2.0\n")
