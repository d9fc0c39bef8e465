"""Uploads of one release in flight together, as PyPI's database takes them (notes, section 9)."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from pypi_attestations import Provenance

from attested_publish.rehearsal.pypi.answers import ServerFailed
from attested_publish.rehearsal.pypi.commits import DEADLOCK_SECONDS, Commits, deadlocks
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.index_client import JOB, basic, client_of, form_of, sent, sign
from support.keys import issuer_key
from support.makers import make_sdist, make_wheel
from support.waiting import wait_for


def new_world(**options):
    return World(claims=JOB, registry=Registry.open(), issuer_key=issuer_key(), **options)


def wheels_of(folder, count, name="sample"):
    return [make_wheel(folder, name, tag=f"py3{minor}-none-any") for minor in range(count)]


def upload_at_once(client, paths, workers=None):
    token = client.token()
    with ThreadPoolExecutor(workers or len(paths)) as pool:
        return list(pool.map(lambda path: client.upload(path, token), paths))


def begin(client, folder, name="sample"):
    """Upload the first file of a release, which has to go alone."""
    assert client.upload(make_sdist(folder, name), client.token()).status_code == 200


def served(client, name="sample"):
    return {file["filename"] for file in client.simple(name)["files"]}


def seconds_of(action):
    started = time.monotonic()
    action()
    return time.monotonic() - started


def provenance_of(client, path):
    answer = client.get(f"/integrity/sample/1.0/{path.name}/provenance")
    assert answer.status_code == 200
    (bundle,) = Provenance.model_validate_json(answer.text).attestation_bundles
    return bundle.attestations


def test_files_of_one_project_are_stored_one_after_another():
    commits = Commits(store_seconds=lambda: 0.5, pause=threading.Event().wait, seed=1)
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        ended = sorted(pool.map(lambda version: store(commits, "sample", version), ("1.0", "2.0")))
    assert ended[0] - begun >= 0.5
    assert ended[1] - ended[0] >= 0.5


def store(commits, project, version):
    """Store a file, and return when."""
    with commits.turn(project, version) as turn:
        turn.store()
        return time.monotonic()


def test_projects_do_not_wait_for_one_another(tmp_path):
    with new_world(latency={"store": 2.0}) as world:
        paths = [make_wheel(tmp_path, name) for name in ("one", "two", "three", "four")]
        answers = []
        client = client_of(world)
        seconds = seconds_of(lambda: answers.extend(upload_at_once(client, paths)))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert 2.0 <= seconds < 6.0


def test_an_upload_is_checked_while_another_is_stored(tmp_path):
    with new_world(latency={"store": 3.0}) as world, ThreadPoolExecutor(1) as pool:
        client = client_of(world)
        token = client.token()
        first = pool.submit(client.upload, make_sdist(tmp_path), token)
        answer = client.upload(make_wheel(tmp_path), token, form={"md5_digest": "0" * 32})
        assert answer.status_code == 400
        assert not first.done()
        assert first.result().status_code == 200


def test_the_chances_of_a_deadlock():
    files = 30
    draws = 200 * files
    for in_flight, expected in {1: 0, 2: 0, 3: 2, 4: 4, 6: 10, 16: 10}.items():
        ended = sum(deadlocks(1, f"sample/1.0/{number}", in_flight) for number in range(draws))
        assert ended / draws * files == pytest.approx(expected, abs=0.1 * expected)


def test_a_seed_gives_the_same_deadlocks_again():
    drawn = [
        [deadlocks(seed, f"sample/1.0/{number}", 6) for number in range(100)] for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_two_in_flight_are_never_refused(tmp_path):
    with new_world(latency={"store": 0.02}) as world:
        client = client_of(world)
        begin(client, tmp_path)
        answers = upload_at_once(client, wheels_of(tmp_path, 20), workers=2)
        assert {answer.status_code for answer in answers} == {200}


def test_many_in_flight_deadlock_and_leave_no_trace(tmp_path):
    with new_world(latency={"store": 0.25}) as world:
        client = client_of(world)
        begin(client, tmp_path)
        paths = wheels_of(tmp_path, 12)
        answers = upload_at_once(client, paths, workers=6)
        failed = [path for path, each in zip(paths, answers, strict=True) if not each.ok]
        for answer in answers:
            if answer.ok:
                continue
            assert (answer.status_code, answer.reason) == (500, "Internal Server Error")
            assert answer.headers["Content-Type"] == "text/html"
            assert "Internal Server Error" in answer.text
            assert answer.elapsed.total_seconds() >= DEADLOCK_SECONDS
        assert 0 < len(failed) < len(paths)
        stored = {path.name for path in paths if path not in failed} | {"sample-1.0.tar.gz"}
        assert served(client) == stored
        assert len(list(world.index.folder.iterdir())) == len(stored)

        for path in failed:
            assert client.upload(path, client.token()).status_code == 200
        assert len(served(client)) == len(paths) + 1


def test_a_deadlock_ends_one_that_waits_and_holds_up_its_project():
    """Without that, more in flight would be faster than two."""
    seed = next(seed for seed in range(1000) if deadlocks(seed, "sample/1.0/2", 3))
    commits = Commits(store_seconds=lambda: 0.2, pause=threading.Event().wait, seed=seed)
    with ThreadPoolExecutor(2) as pool, commits.turn("sample", "1.0") as turn:
        queued = pool.submit(store, commits, "sample", "1.0")
        time.sleep(0.2)
        met = time.monotonic()
        ended = pool.submit(store, commits, "sample", "1.0")
        time.sleep(0.2)
        turn.store()
        assert time.monotonic() - met >= DEADLOCK_SECONDS
        with pytest.raises(ServerFailed):
            ended.result()
        assert not queued.done()
    assert queued.result() - met >= DEADLOCK_SECONDS + 0.2


def test_two_that_create_the_same_release_collide(tmp_path):
    with new_world(latency={"store": 2.0}) as world:
        client = client_of(world)
        paths = wheels_of(tmp_path, 2)
        answers = upload_at_once(client, paths)
        assert sorted(answer.status_code for answer in answers) == [200, 500]
        assert len(served(client)) == 1
        assert len(list(world.index.folder.iterdir())) == 1
        again = upload_at_once(client, paths)
        assert [answer.status_code for answer in again] == [200, 200]
        assert served(client) == {path.name for path in paths}


def test_where_storage_takes_no_time_nothing_fails(tmp_path):
    with new_world() as world:
        answers = upload_at_once(client_of(world), wheels_of(tmp_path, 16))
        assert {answer.status_code for answer in answers} == {200}


def test_a_client_that_goes_away_does_not_stop_its_upload(tmp_path):
    with new_world(latency={"store": 0.5}) as world:
        client = client_of(world)
        path = make_wheel(tmp_path)
        (attestation,) = sign(world, path)
        fields = {**form_of(path), "attestations": sent(attestation)}
        request = requests.Request(
            "POST",
            world.upload_url,
            data={name: value for name, value in fields.items() if value is not None},
            files={"content": (path.name, path.read_bytes(), "application/octet-stream")},
            headers={"Authorization": basic("__token__", client.token())},
        ).prepare()
        address = urlsplit(world.upload_url)
        head = [f"POST {address.path} HTTP/1.1", f"Host: {address.netloc}"]
        head += [f"{name}: {value}" for name, value in request.headers.items()]
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode() + request.body)

        wait_for(lambda: client.get("/simple/sample/").status_code == 200)
        assert served(client) == {path.name}
        assert provenance_of(client, path) == [attestation]


def test_the_same_bytes_while_the_first_are_stored_keep_the_first_attestation(tmp_path):
    latency = {}
    with new_world(latency=latency) as world, ThreadPoolExecutor(1) as pool:
        client = client_of(world)
        begin(client, tmp_path)
        path = make_wheel(tmp_path)
        first, second = sign(world, path) + sign(world, path)
        assert first != second
        token = client.token()
        latency["store"] = 4.0
        answer = pool.submit(client.upload, path, token, attestations=sent(first))
        time.sleep(1.5)
        assert path.name not in served(client)
        again = client.upload(path, token, attestations=sent(second))
        assert (answer.result().status_code, again.status_code) == (200, 200)
        assert again.elapsed.total_seconds() < 4.0
        assert provenance_of(client, path) == [first]


def test_the_end_of_the_services_does_not_wait_for_storage(tmp_path):
    path, latency = make_wheel(tmp_path), {}
    with new_world(latency=latency) as world:
        client = client_of(world)
        begin(client, tmp_path)
        token = client.token()
        latency["store"] = 60.0

        def upload():
            with pytest.raises(requests.ConnectionError):
                client.upload(path, token)

        uploading = threading.Thread(target=upload)
        uploading.start()
        time.sleep(2.0)
    uploading.join(20)
    assert not uploading.is_alive()
    wait_for(lambda: not [each for each in threading.enumerate() if "request" in each.name])
