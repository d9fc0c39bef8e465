"""The 33 rows of what people who publish from CI run into: each provoked, or shown prevented.

`ROWS` says for each row which `Topic` explains it, or what prevents it; docs/troubleshooting.md
is held against the topics.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
import shutil
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sigstore.errors
from markdown_it import MarkdownIt
from ruamel.yaml import YAML
from tuf.api.exceptions import DownloadError, UnsignedMetadataError
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher
from werkzeug.wrappers import Request, Response

from attested_publish import problems
from attested_publish.attestations.verify import no_root
from attested_publish.problems import Topic
from support.action import Outcome, act, act_in, act_soon, job
from support.makers import make_release, make_wheel
from support.orders import OUR_ORDERS, orders_in
from support.paths import ROOT
from support.releases import SDIST, WHEEL, registry_of, staged
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


CALLER = "octo-org/sample-project/.github/workflows/release.yml@refs/tags/v1.0.0"
CALLED = "octo-org/sample-project/.github/workflows/called.yml@refs/tags/v1.0.0"
ELSEWHERE = "octo-org/shared/.github/workflows/release.yml@refs/heads/main"

ROWS: dict[int, Topic | str] = {
    1: "tests/repository/test_action_files.py::test_the_action_uses_no_other_action",
    2: "tests/e2e/e2e_container.py::test_the_image_that_the_commit_names",
    3: "tests/repository/test_action_files.py::test_the_image_is_fixed",
    4: "tests/e2e/e2e_python.py::test_a_release_without_docker",
    5: "tests/e2e/e2e_container.py::test_an_image_that_cannot_be_had",
    6: "prevented: folders are looked into, one down",
    7: Topic.FOLDER_MISSING,
    8: Topic.FILES_UNFIT,
    9: "prevented: the user's folder is only read",
    10: "prevented: a newer metadata version is a warning, the index decides",
    11: Topic.FILES_WOULD_BE_REFUSED,
    12: Topic.FILES_WOULD_BE_REFUSED,
    13: Topic.NO_PERMISSION,
    14: Topic.IDENTITY_SERVICE,
    15: Topic.UNKNOWN_PUBLISHER,
    16: Topic.REUSABLE_WORKFLOW,
    17: Topic.EXCHANGE_FAILED,
    18: Topic.WRONG_PROJECT,
    19: Topic.FOREIGN_AUDIENCE,
    20: "tests/journey/test_faults.py::test_short_lives_are_renewed_in_the_middle_of_a_release",
    21: Topic.NOT_SIGNED,
    22: Topic.SIGSTORE_ROOT,
    23: Topic.ATTESTATION_INVALID,
    24: "prevented: nothing is signed in public for a repository that is not public",
    25: Topic.UPLOAD_REFUSED,
    26: Topic.FILES_WOULD_BE_REFUSED,
    27: "prevented: API tokens are renewed",
    28: Topic.FILES_WOULD_BE_REFUSED,
    29: Topic.TOO_MANY_PROJECTS,
    30: Topic.UPLOAD_REFUSED,
    31: "prevented: waits, and says what is late",
    32: "prevented: a re-run is done at once",
    33: "prevented: said before, and told on every re-run",
}


def statuses(outcome: Outcome) -> dict[str, str]:
    return {file["filename"]: file["status"] for file in outcome.report["files"]}


def pasted(text: str) -> Any:
    """Read the YAML in a remedy, as somebody does who pastes it."""
    block = [line[4:] for line in text.splitlines() if line.startswith("    ") or not line]
    return YAML(typ="safe").load("\n".join(block))


@pytest.mark.parametrize("row", [row for row, held in ROWS.items() if "::" in str(held)])
def test_rows_that_others_hold(row: int) -> None:
    path, _, name = str(ROWS[row]).partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_row_is_there() -> None:
    here = Path(__file__).read_text()
    for row in range(1, 34):
        assert "::" in str(ROWS[row]) or re.search(rf"^def test_row_{row}_", here, re.MULTILINE)


def test_every_topic_explains_something() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    unused = [topic.name for topic in Topic if f"Topic.{topic.name}" not in source]
    assert unused == ["NOT_INSTALLABLE"] or not unused


def test_every_problem_says_where_to_read_on() -> None:
    """But for those that are only waited for, and never shown."""
    kinds = {name for name, kind in vars(problems).items() if is_problem(kind)}
    without_topic = []
    package = ROOT / "src" / "attested_publish"
    for path in set(package.rglob("*.py")) - set((package / "rehearsal").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                title = ast.unparse(node.args[0])
                if not any(keyword.arg == "topic" for keyword in node.keywords):
                    without_topic.append(title)
    assert sorted(without_topic) == [
        "'The index does not serve everything yet'",
        "f'{index.name} does not revoke its API token'",
    ]


def is_problem(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, problems.Problem)


def test_row_1_code_is_found_where_the_action_lies() -> None:
    text = (ROOT / "action.yml").read_text()
    assert "$GITHUB_ACTION_PATH/launch.sh" in text
    assert "github.action" not in text


def test_row_6_an_artifact_s_folder(tmp_path: Path) -> None:
    make_release(tmp_path / "dist" / "artifact")
    (tmp_path / "dist" / "artifact.zip.txt").write_text("a note")
    with staged(tmp_path / "dist") as stage:
        outcome = act(stage)
        assert outcome.status == 0, outcome.log
        assert stage.served().keys() == {WHEEL, SDIST}
        assert "artifact.zip.txt is not a distribution, and is ignored" in outcome.log


def test_row_7_the_folder_is_missing(stage: Stage) -> None:
    stage.fault("simple=500")
    stage.folder = stage.folder.parent / "build" / "dist"
    (stage.folder.parent / "wheels").mkdir(parents=True)
    outcome = act(stage)
    outcome.explains(
        Topic.FOLDER_MISSING, "dist does not exist", "contains runner/, wheels/", "packages-dir"
    )
    assert "500" not in outcome.log, "no network before"
    assert not stage.world.index.issued_tokens


def test_row_8_foreign_files(stage: Stage) -> None:
    (stage.folder / f"{WHEEL}.sigstore.json").write_text("{}")
    (stage.folder / "multiple.intoto.jsonl").write_text("")
    assert act(stage, mode="check").status == 0
    (stage.folder / "docs.tar.bz2").write_bytes(b"BZh9")
    outcome = act(stage)
    outcome.explains(Topic.FILES_UNFIT, "docs.tar.bz2 is not a distribution", "(.whl)")


def test_row_9_a_second_index_in_the_same_job(stage: Stage) -> None:
    before = {path: path.read_bytes() for path in stage.folder.iterdir()}
    assert act(stage).status == 0
    assert {path: path.read_bytes() for path in stage.folder.iterdir()} == before
    with staged(stage.folder) as second:
        assert act(second).status == 0
        assert all(file["provenance"] for file in second.served().values())


def test_row_10_a_metadata_version_of_tomorrow(stage: Stage) -> None:
    make_wheel(stage.folder, metadata={"Metadata-Version": "2.9"})
    outcome = act(stage, mode="check")
    assert outcome.status == 0, outcome.log
    (warning,) = [given for kind, given, _ in outcome.annotations if kind == "warning"]
    assert warning["title"] == f"{WHEEL}: metadata-version-newer"
    assert warning["file"].endswith(WHEEL)
    assert "missing" not in outcome.log, "row 11: the wrong cause"


def test_row_11_the_right_cause(stage: Stage) -> None:
    make_wheel(stage.folder, metadata="Metadata-Version: 2.1\nVersion: 1.0\n\n")
    outcome = act(stage)
    text = outcome.explains(Topic.FILES_WOULD_BE_REFUSED, WHEEL, "Name", file=WHEEL)
    assert "etadata version" not in text


def test_row_12_everything_at_once(stage: Stage) -> None:
    make_wheel(stage.folder, version="1.0+local")
    make_wheel(stage.folder, tag="cp312-cp312-linux_x86_64")
    make_wheel(stage.folder, tag="cp313-cp313-win_amd64", omit=["RECORD"])
    names = [path.name for path in stage.folder.iterdir() if path.name not in {WHEEL, SDIST}]
    outcome = act(stage)
    outcome.explains(Topic.FILES_WOULD_BE_REFUSED, "3 of 5 files", *names, "linux_x86_64", "RECORD")
    files = {Path(given["file"]).name for _, given, _ in outcome.annotations if "file" in given}
    assert files == set(names)
    assert [statuses(outcome)[name] for name in names] == ["refused"] * 3
    assert not stage.world.index.issued_tokens


def without_permission(
    environment: dict[str, str], event: str, *, fork: bool = False
) -> dict[str, str]:
    payload = Path(environment["RUNNER_TEMP"], "event.json")
    payload.write_text(json.dumps({"pull_request": {"head": {"repo": {"fork": fork}}}}))
    kept = {name: value for name, value in environment.items() if "ID_TOKEN" not in name}
    return {**kept, "GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(payload)}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("push", ["no permission", "reusable workflow"]),
        ("pull_request", ["pull request", "secret"]),
    ],
)
def test_row_13_no_permission(stage: Stage, event: str, words: list[str]) -> None:
    outcome = act_in(without_permission(job(stage.world, stage.folder), event))
    outcome.explains(Topic.NO_PERMISSION, *words, "uploaded nothing")
    remedy = outcome.report["problems"][0]["remedy"]
    assert pasted(remedy) == {"permissions": {"id-token": "write"}}


def test_row_13_a_pull_request_from_a_fork(stage: Stage) -> None:
    environment = without_permission(job(stage.world, stage.folder), "pull_request", fork=True)
    outcome = act_in(environment)
    outcome.explains(Topic.NO_PERMISSION, "from a fork", "mode: rehearse", "uploaded nothing")


def test_row_13_an_empty_secret(stage: Stage) -> None:
    environment = without_permission(job(stage.world, stage.folder, user="robot"), "push")
    outcome = act_in(environment)
    outcome.explains(Topic.NO_IDENTITY, "robot", "password is empty", "secret")


def test_row_14_the_identity_provider_is_out_of_order(stage: Stage) -> None:
    stage.fault("identity=503")
    outcome = act_soon(stage)
    outcome.explains(Topic.IDENTITY_SERVICE, "503", "Tried", "run the job again")
    assert "next try in" in outcome.log


def test_row_15_an_unknown_publisher(dist: Path) -> None:
    """The fields to enter, a link with them filled in, and the one that differs."""
    with staged(dist, registry=registry_of("sample")) as stage:
        assert act(stage).status == 0
        make_wheel(dist, version="1.1")
        other = CALLER.replace("release.yml", "publish.yml")
        stage.world.issuer.claims |= {"workflow_ref": other, "job_workflow_ref": other}
        outcome = act(stage)
        text = outcome.explains(
            Topic.UNKNOWN_PUBLISHER,
            "invalid-publisher",
            "Owner: octo-org",
            "Workflow name: publish.yml",
            "/manage/project/sample/settings/publishing/?provider=github&owner=octo-org",
            "Public since before: sample-1.0",
        )
        assert "with the workflow 'release.yml', this job has 'publish.yml'" in text
        assert outcome.report["result"] == "refused"
        assert outcome.report["problems"][0]["stage"] == "token"


def test_row_15_a_job_without_the_environment(dist: Path) -> None:
    registry = registry_of("sample", environment="pypi")
    with staged(dist, registry=registry, claims={"environment": ""}) as stage:
        outcome = act(stage)
        outcome.explains(Topic.UNKNOWN_PUBLISHER, "Environment name: (leave empty)")


def test_row_16_a_called_workflow(dist: Path) -> None:
    with staged(dist, claims={"job_workflow_ref": CALLED}) as stage:
        outcome = act(stage, attestations="true")
        outcome.explains(Topic.REUSABLE_WORKFLOW, CALLED, CALLER, "uploaded nothing")
        steps = pasted(outcome.report["problems"][0]["remedy"])["jobs"]["publish"]
        assert steps["permissions"] == {"id-token": "write"}
        assert not stage.world.index.issued_tokens, "explained before asking"
        outcome = act(stage)
        assert outcome.status == 0
        assert "No attestations: the job is in a reusable workflow" in outcome.log
        assert "cannot be added after the upload" in outcome.summary


def test_row_16_a_workflow_of_another_repository(dist: Path) -> None:
    with staged(dist, claims={"job_workflow_ref": ELSEWHERE}) as stage:
        outcome = act(stage)
        outcome.explains(Topic.OTHER_REPOSITORY, ELSEWHERE, "octo-org/sample-project")
        assert not stage.world.index.issued_tokens


def test_row_17_the_exchange_hiccups(stage: Stage) -> None:
    stage.fault("mint=502*2")
    outcome = act_soon(stage, 5.0)
    assert outcome.status == 0
    assert outcome.log.count("answered 502") == 2
    tokens = re.findall(r"^::add-mask::(eyJ.*)$", outcome.log, re.MULTILINE)
    assert len(set(tokens)) == len(tokens) == 4, "each try has an identity token of its own"


def test_row_17_the_exchange_is_down(stage: Stage) -> None:
    stage.fault("mint=503")
    outcome = act_soon(stage)
    outcome.explains(Topic.EXCHANGE_FAILED, "answered 503", "status page", "uploaded nothing")


def test_row_18_not_valid_for_this_project(dist: Path) -> None:
    with staged(dist, registry=registry_of("another")) as stage:
        stage.world.index.add_project("sample")
        outcome = act(stage)
        outcome.explains(
            Topic.WRONG_PROJECT,
            "OIDC scoped token is not valid for project 'sample'",
            f"{WHEEL} belongs to the project sample",
            "/manage/project/sample/settings/publishing/",
            file=WHEEL,
        )


@contextlib.contextmanager
def another_index(answer: Callable[[Request], Response]) -> Iterator[str]:
    """Serve an index; gives its upload address."""
    with serving(Request.application(answer)) as server:
        yield f"{server.url}/legacy/"


def test_row_19_a_foreign_audience(stage: Stage) -> None:
    def answer(request: Request) -> Response:
        if request.path == "/_/oidc/audience":
            return Response('{"audience": "sigstore"}', content_type="application/json")
        return Response("nothing here", 404)

    with another_index(answer) as address:
        outcome = act(stage, repository_url=address)
    outcome.explains(Topic.FOREIGN_AUDIENCE, "'sigstore'", "repository-url")
    assert outcome.log.count("add-mask::eyJ") <= 1, "no identity token was made for it"


def test_row_21_the_log_is_out_of_order(stage: Stage) -> None:
    stage.fault("log=502")
    # Long enough for a slow machine to get as far as the log.
    outcome = act_soon(stage, 2.0)
    (file,) = [each for each in statuses(outcome) if statuses(outcome)[each] == "failed"]
    outcome.explains(
        Topic.NOT_SIGNED,
        "transparency log",
        "answered 502",
        "Tried",
        "`attestations: false`",
        "uploaded nothing",
        file=file,
    )
    assert "May have arrived" not in outcome.log
    stage.world.faults.clear()
    stage.fault("log=502*3")
    assert act_soon(stage, 5.0).status == 0, "an outage that ends is waited for"


def test_row_22_a_root_too_old() -> None:
    """Sigstore's real root cannot be made too old here: the library's error is."""
    error = sigstore.errors.TUFError("Failed to refresh TUF metadata")
    error.__cause__ = UnsignedMetadataError("root was signed by 0/3 keys")
    problem = no_root(error)
    assert "root was signed by 0/3 keys" in problem.detail
    assert "too old" in problem.detail
    assert "newest commit" in problem.remedy
    error.__cause__ = DownloadError("timed out")
    assert "tuf-repo-cdn.sigstore.dev" in no_root(error).remedy
    assert problem.topic is no_root(error).topic is Topic.SIGSTORE_ROOT
    # As the client really words a server that cannot be reached: without a word of its own.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DownloadError) as unreachable:
        next(Urllib3Fetcher().fetch(f"http://127.0.0.1:{port}/root.json"))
    error.__cause__ = unreachable.value
    assert "refused" in no_root(error).detail


def test_row_23_a_certificate_that_the_index_would_refuse(stage: Stage) -> None:
    stage.fault("certificate=workflow")
    outcome = act(stage)
    outcome.explains(Topic.ATTESTATION_INVALID, "Build Config URI", "uploaded nothing", file=WHEEL)
    assert not stage.served()


def test_row_24_a_private_repository(dist: Path) -> None:
    with staged(dist, claims={"repository_visibility": "private"}) as stage:
        outcome = act(stage, sigstore_trust_config="")
        assert outcome.status == 0, outcome.log
        assert all(file["attestation"] is None for file in outcome.report["files"])
        for told in (outcome.log, outcome.summary):
            assert "the repository is not public" in told
            assert "`attestations: true` allows it" in told


def test_row_25_what_the_index_says_and_what_is_up(dist: Path) -> None:
    other = make_wheel(dist, tag="cp312-cp312-win_amd64").name
    with staged(dist) as stage:
        stage.fault("upload=slow:0.01*1")
        stage.fault("upload=400*1")
        # Two at a time, the sdist would be sent beside what is refused.
        outcome = act(stage, parallel_uploads="1")
        (first,) = stage.served()
        (refused,) = {WHEEL, other} - {first}
        outcome.explains(
            Topic.UPLOAD_REFUSED,
            f"answered 400 to {refused}",
            "a fault of the rehearsal",
            f"Public already, from this run: {first}.",
            file=refused,
        )
        assert statuses(outcome) == {
            first: "uploaded",
            refused: "refused",
            SDIST: "not-attempted",
        }
        assert "only partly public" in outcome.summary


def test_row_25_what_may_be_up(stage: Stage) -> None:
    stage.fault("upload=502")
    outcome = act_soon(stage)
    outcome.explains(
        Topic.UPLOAD_FAILED, "answered 502", f"May have arrived, or not: {WHEEL}.", file=WHEEL
    )


@pytest.mark.parametrize("status", ["429", "503", "429:7200"])
def test_row_25_what_is_certainly_not_up(stage: Stage, status: str) -> None:
    stage.fault(f"upload={status}")
    outcome = act_soon(stage)
    words = ["longer than this run waits"] if ":" in status else []
    outcome.explains(Topic.UPLOAD_FAILED, f"answered {status[:3]}", *words, file=WHEEL)
    assert "May have arrived" not in outcome.log
    assert statuses(outcome)[WHEEL] == "failed"


def test_row_25_in_the_index_s_own_words(stage: Stage) -> None:
    make_wheel(stage.folder, metadata={"Classifier": "Topic :: Not Known"})
    outcome = act(stage, verify_metadata="false")
    said = "'Topic :: Not Known'"
    outcome.explains(Topic.UPLOAD_REFUSED, "answered 400 to", said, file=WHEEL)


def test_row_26_the_file_exists(stage: Stage) -> None:
    assert act(stage).status == 0
    assert set(statuses(act(stage)).values()) == {"already-there"}
    path = stage.folder / WHEEL
    was = hashlib.sha256(path.read_bytes()).hexdigest()
    make_wheel(stage.folder, metadata={"Summary": "Changed"})
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    outcome = act(stage)
    outcome.explains(
        Topic.FILES_WOULD_BE_REFUSED, was, now, "new version", "skip-existing", SDIST, file=WHEEL
    )


def test_row_27_a_token_that_ends_midway(stage: Stage) -> None:
    stage.fault("mint=expires:0*1")
    outcome = act(stage)
    assert outcome.status == 0
    assert len(stage.world.index.issued_tokens) == 2


def test_row_28_too_large(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    make_wheel(folder, extra_files={"sample/big.bin": bytes(101 << 20)}, compression=0)
    with staged(folder) as stage:
        outcome = act(stage, mode="check", verify_metadata="strict")
        outcome.explains(
            Topic.FILES_WOULD_BE_REFUSED, "101.0 MiB", "100 MiB", "higher limit", file=WHEEL
        )
        assert not stage.world.index.issued_tokens


def test_row_29_too_many_new_projects(stage: Stage) -> None:
    uploads = []

    def answer(request: Request) -> Response:
        if request.path != "/legacy/":
            return Response("nothing here", 404)
        uploads.append(request.form["name"])
        return Response("Too many new projects created", "429 Too many new projects created")

    with another_index(answer) as address:
        outcome = act(stage, repository_url=address, password="pypi-something")
    outcome.explains(
        Topic.TOO_MANY_PROJECTS, "429", "Too many new projects created", "tomorrow", file=WHEEL
    )
    assert uploads == ["sample"], "not tried again"


def test_row_30_a_closed_release(stage: Stage) -> None:
    """Foreseen from the index's upload times (tests/journey/test_foresight.py), else told by it."""
    begun = datetime.now(UTC) - timedelta(days=15)
    stage.world.index.add_release("sample", "1.0", begun)
    outcome = act(stage)
    outcome.explains(Topic.UPLOAD_REFUSED, "older than 14 days", "new version", file=WHEEL)


def test_row_31_a_page_that_is_late(stage: Stage) -> None:
    stage.fault("integrity=404")
    outcome = act_soon(stage)
    assert outcome.status == 0
    assert set(statuses(outcome).values()) == {"uploaded"}
    warnings = [text for kind, _, text in outcome.annotations if kind == "warning"]
    assert len(warnings) == 1
    assert "lists them, but does not serve them" in warnings[0]
    assert "not confirmed in time" not in outcome.log


def test_row_31_a_provenance_that_cannot_be_asked_for(stage: Stage) -> None:
    stage.fault("integrity=503")
    outcome = act_soon(stage)
    assert outcome.status == 0
    warnings = [text for kind, _, text in outcome.annotations if kind == "warning"]
    assert len(warnings) == 2
    assert all("not confirmed in time" in text for text in warnings)


def test_row_32_a_re_run_after_a_later_step_failed(stage: Stage) -> None:
    assert act(stage).status == 0
    outcome = act(stage)
    assert outcome.status == 0
    assert "nothing to upload" in outcome.log
    assert outcome.summary.startswith("## ✅ sample 1.0 was already on")


def test_row_33_released_without_attestations(stage: Stage) -> None:
    token = stage.world.index.add_user_token()
    outcome = act(stage, password=token)
    assert outcome.status == 0
    for told in (outcome.log, outcome.summary):
        assert "cannot be added after the upload" in told
    again = act(stage)
    assert again.status == 0
    assert f"{WHEEL} and 1 more. An attestation cannot be added" in again.log
    assert "only a new version can have one" in again.summary


if sys.platform == "win32":  # pragma: no cover - names that Windows cannot have
    HOSTILE = "sample-1.0-py3-none-any-[x].whl"
else:
    HOSTILE = "::error::owned\n##[group]x|`<b>\x1b[31m\u202e\r::warning::y-1.0-py3-none-any.whl"


def is_tame(outcome: Outcome) -> None:
    """Hold that nothing in a log, a report or a summary is obeyed or steers a terminal."""
    assert orders_in(outcome.log) <= OUR_ORDERS
    assert not orders_in(outcome.errors)
    assert not re.search(r"^\s*::\w+::owned", outcome.log, re.MULTILINE)
    for text in (outcome.log, outcome.errors, outcome.summary):
        assert not {"\x1b", "\u202e", "\r"} & set(text)
    page = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(outcome.summary)
    tags = set(re.findall(r"<([a-z0-9]+)[ >]", page))
    assert not tags & {"b", "h1", "script", "img"}, page


def test_file_names_give_no_commands(stage: Stage) -> None:
    shutil.copy(stage.folder / WHEEL, stage.folder / HOSTILE)
    outcome = act(stage)
    assert outcome.status == 1
    is_tame(outcome)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        ("400 ::error::owned ##[group]x and more words", "text/plain", ""),
        ("400 owned <b>x</b> ![i](http://e.example/<h1>) `x` <img src=x>", "text/plain", ""),
        ("400 x", "text/html", "<script>1</script><h1>::error::owned</h1>##[x] <b>\x1b[31m\u202e"),
        ("400 x", "application/json", '{"message": "\\n::error::owned ##[group]x \\u001b[31m"}'),
        ("400 x", "text/plain", "first\r\n::error::owned\n##[group]x\x1b[2J" + "x" * 100_000),
    ],
)
def test_what_an_index_says_gives_no_commands(
    stage: Stage, status: str, content_type: str, body: str
) -> None:
    def answer(request: Request) -> Response:
        if request.path != "/legacy/":
            return Response("nothing here", 404)
        return Response(body, status, content_type=content_type)

    with another_index(answer) as address:
        outcome = act(stage, repository_url=address, password="pypi-something")
    outcome.explains(Topic.UPLOAD_REFUSED, "owned", file=WHEEL)
    is_tame(outcome)
    assert len(outcome.report["problems"][0]["detail"]) < 1000, "bounded"


def test_claims_give_no_commands(dist: Path) -> None:
    claims = {
        "ref": "refs/heads/\n::error::owned ##[group]\x1b[31m",
        "environment": "\n::error::owned",
    }
    with staged(dist, claims=claims, registry=registry_of("sample")) as stage:
        outcome = act(stage)
        assert "owned" in outcome.log
        is_tame(outcome)


def test_metadata_gives_no_commands(stage: Stage) -> None:
    make_wheel(
        stage.folder,
        metadata={"Classifier": "::error::owned ##[group] \x1b[31m <b>", "Summary": "x" * 600},
    )
    outcome = act(stage)
    assert "owned" in outcome.log
    is_tame(outcome)


def test_verbose_shows_requests_without_secrets(stage: Stage) -> None:
    outcome = act(stage, verbose="true")
    requests = re.findall(r"↔ (\S+) http://[^/]+(\S+): (.+), \d+\.\d\d s", outcome.log)
    seen = set(requests)
    assert ("GET", "/token", "200") in seen
    assert ("GET", "/_/oidc/audience", "200") in seen
    assert ("POST", "/_/oidc/mint-token", "200") in seen
    assert any(address == "/api/v2/signingCert" for _, address, _ in seen)
    assert ("POST", "/legacy/", "200") in seen
    assert ("GET", "/simple/sample/", "200") in seen
    assert "api-version" not in outcome.log, "queries may hold secrets"
    assert "↔" not in act(stage).log


def test_verbose_shows_tracebacks(stage: Stage) -> None:
    stage.fault("upload=403*1")
    assert "Traceback (most recent call last)" in act(stage, verbose="true").log


def test_ten_annotations_of_a_kind_the_problem_among_them(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    for number in range(14):
        make_wheel(folder, version=f"1.{number}+local")
    with staged(folder) as stage:
        outcome = act(stage)
        errors = [given["title"] for kind, given, _ in outcome.annotations if kind == "error"]
        assert len(errors) == 10
        assert errors[-1] == "14 of 14 files would be refused"
