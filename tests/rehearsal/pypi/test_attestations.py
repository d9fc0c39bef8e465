"""Attestations at the embedded PyPI: rows 25 to 33, and the provenance it serves (PEP 740)."""

from __future__ import annotations

import base64
import copy
import json
import zlib

import pytest
from pypi_attestations import AttestationType, Provenance

from attested_publish.attestations.verify import load_trust, verify_attestation
from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.index_client import JOB, TRUE_ROW, client_of, sent, sign
from support.keys import issuer_key
from support.makers import make_sdist, make_wheel
from support.releases import publisher_policy

PUBLISH = AttestationType.PYPI_PUBLISH_V1.value
SLSA = AttestationType.SLSA_PROVENANCE_V1.value
INTEGRITY_JSON = "application/vnd.pypi.integrity.v1+json"


@pytest.fixture(scope="module")
def world():
    with World(claims=JOB, registry=Registry.open(), issuer_key=issuer_key()) as world:
        yield world


@pytest.fixture(scope="module")
def client(world):
    return client_of(world)


@pytest.fixture
def token(client):
    return client.token()


@pytest.fixture
def wheel(tmp_path, request):
    """A wheel of a project that no other test uses."""
    return make_wheel(tmp_path, f"of{zlib.crc32(request.node.nodeid.encode())}")


def refused(answer):
    assert answer.status_code == 400, answer.reason
    assert answer.reason.startswith("Invalid attestations supplied during upload: ")
    return answer.reason


def project_of(path):
    return path.name.partition("-")[0]


def provenance_of(client, path):
    (file,) = (
        file for file in client.simple(project_of(path))["files"] if file["filename"] == path.name
    )
    return file["provenance"]


def test_what_was_attested_is_served_and_holds(world, client, token, wheel):
    (attestation,) = sign(world, wheel)
    answer = client.upload(wheel, token, attestations=sent(attestation))
    assert answer.status_code == 200, answer.text

    address = provenance_of(client, wheel)
    assert address == f"{client.url}/integrity/{project_of(wheel)}/1.0/{wheel.name}/provenance"
    answer = client.get(address.removeprefix(client.url))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == INTEGRITY_JSON
    document = answer.json()
    assert document["version"] == 1
    (bundle,) = document["attestation_bundles"]
    assert bundle["publisher"] == {
        "kind": "GitHub",
        "repository": "octo-org/sample-project",
        "workflow": "release.yml",
        "environment": None,
    }
    provenance = Provenance.model_validate_json(answer.text)
    assert provenance.attestation_bundles[0].attestations == [attestation]
    file = client.simple(project_of(wheel))["files"][0]
    assert (
        verify_attestation(
            provenance.attestation_bundles[0].attestations[0],
            filename=wheel.name,
            sha256=file["hashes"]["sha256"],
            policy=publisher_policy("octo-org/sample-project", "release.yml"),
            verifier=load_trust(world.trust_config).verifier,
        )
        == PUBLISH
    )
    page = client.get(f"/simple/{project_of(wheel)}/").text
    assert f'data-provenance="{address}"' in page


def test_the_publisher_in_the_provenance_is_the_registered_one(tmp_path):
    registry = Registry.parse(
        json.dumps({"publishers": [{**TRUE_ROW, "environment": "PyPI", "projects": ["sample"]}]})
    )
    claims = {**JOB, "environment": "pyPI"}
    with World(claims=claims, registry=registry, issuer_key=issuer_key()) as world:
        client = client_of(world)
        wheel = make_wheel(tmp_path)
        token = client.mint(world.issuer.issue("pypi")).json()["token"]
        assert (
            client.upload(wheel, token, attestations=sent(*sign(world, wheel))).status_code == 200
        )
        document = client.get(provenance_of(client, wheel).removeprefix(client.url)).json()
        assert document["attestation_bundles"][0]["publisher"]["environment"] == "pypi"


def test_media_types_of_provenance(world, client, token, wheel):
    client.upload(wheel, token, attestations=sent(*sign(world, wheel)))
    address = provenance_of(client, wheel).removeprefix(client.url)
    for accept, status, content_type in (
        (INTEGRITY_JSON, 200, INTEGRITY_JSON),
        ("application/json", 200, "application/json"),
        ("*/*", 200, INTEGRITY_JSON),
        (f"application/json;q=0.5, {INTEGRITY_JSON}", 200, INTEGRITY_JSON),
        ("text/html", 406, "application/json"),
    ):
        answer = client.get(address, Accept=accept)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)


def test_a_file_without_attestations_has_no_provenance(client, token, wheel):
    assert client.upload(wheel, token).status_code == 200
    assert provenance_of(client, wheel) is None


def test_the_same_file_again_adds_no_provenance(world, client, token, wheel):
    assert client.upload(wheel, token).status_code == 200
    answer = client.upload(wheel, token, attestations=sent(*sign(world, wheel)))
    assert answer.status_code == 200
    assert provenance_of(client, wheel) is None


@pytest.mark.parametrize("types", [(PUBLISH,), (SLSA,), (PUBLISH, SLSA), (SLSA, PUBLISH)])
def test_predicate_types_that_are_taken(world, client, token, wheel, types):
    attestations = sign(world, wheel, predicate_types=types)
    assert client.upload(wheel, token, attestations=sent(*attestations)).status_code == 200
    address = provenance_of(client, wheel).removeprefix(client.url)
    served = Provenance.model_validate_json(client.get(address).text)
    assert served.attestation_bundles[0].attestations == attestations


def test_names_that_mean_the_same_are_the_same(world, client, token, tmp_path):
    wheel = make_wheel(tmp_path, "two-words")
    attestations = sign(world, wheel, subject="Two.Words-1.0.0-py3-none-any.whl")
    assert client.upload(wheel, token, attestations=sent(*attestations)).status_code == 200


# Rows 25, 27 to 29


def test_who_is_no_publisher_cannot_attest(world, client, wheel):
    token = world.index.add_user_token()
    answer = client.upload(wheel, token, attestations=sent(*sign(world, wheel)))
    assert "only supported when using Trusted Publishing" in refused(answer)
    assert client.upload(wheel, token).status_code == 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no json", "Malformed"),
        ("{}", "Malformed"),
        ("null", "Malformed"),
        ("[1]", "Malformed"),
        ("[{}]", "Malformed"),
        ("[" * 5000, "Malformed"),
        ("[]", "empty"),
    ],
)
def test_malformed_attestations(client, token, wheel, text, says):
    assert says in refused(client.upload(wheel, token, attestations=text))
    assert client.get(f"/simple/{project_of(wheel)}/").status_code == 404


def test_no_more_than_two_attestations(world, client, token, wheel):
    attestations = sign(world, wheel) * 3
    assert "2" in refused(client.upload(wheel, token, attestations=sent(*attestations)))


def test_two_attestations_of_one_type(world, client, token, wheel):
    attestations = sign(world, wheel, predicate_types=(PUBLISH, PUBLISH))
    told = refused(client.upload(wheel, token, attestations=sent(*attestations)))
    assert PUBLISH in told


# Rows 30 to 32


def changed(attestation, change):
    document = json.loads(attestation.model_dump_json())
    change(document)
    return json.dumps([document])


def flip(text):
    content = bytearray(base64.b64decode(text))
    content[-1] ^= 1
    return base64.b64encode(content).decode()


def tamper_signature(document):
    document["envelope"]["signature"] = flip(document["envelope"]["signature"])


def tamper_statement(document):
    statement = json.loads(base64.b64decode(document["envelope"]["statement"]))
    statement["predicate"] = {"builtBy": "somebody else"}
    document["envelope"]["statement"] = base64.b64encode(json.dumps(statement).encode()).decode()


def drop_promise(document):
    entry = document["verification_material"]["transparency_entries"][0]
    del entry["inclusionPromise"]


def tamper_promise(document):
    promise = document["verification_material"]["transparency_entries"][0]["inclusionPromise"]
    promise["signedEntryTimestamp"] = flip(promise["signedEntryTimestamp"])


def tamper_proof(document):
    proof = document["verification_material"]["transparency_entries"][0]["inclusionProof"]
    proof["rootHash"] = flip(proof["rootHash"])


def drop_entries(document):
    document["verification_material"]["transparency_entries"] = []


def next_version(document):
    document["version"] = 2


@pytest.mark.parametrize(
    "change",
    [
        tamper_signature,
        tamper_statement,
        drop_promise,
        tamper_promise,
        tamper_proof,
        drop_entries,
        next_version,
    ],
)
def test_tampered_attestations(world, client, token, wheel, change):
    (attestation,) = sign(world, wheel)
    told = refused(client.upload(wheel, token, attestations=changed(attestation, change)))
    assert "\n" not in told
    assert client.get(f"/simple/{project_of(wheel)}/").status_code == 404
    # The same without the change is taken, so it was the change.
    assert client.upload(wheel, token, attestations=sent(attestation)).status_code == 200


def test_attestations_of_another_file(world, client, token, wheel, tmp_path):
    other = make_wheel(tmp_path / "other", project_of(wheel), extra_files={"x.py": b"1"})
    sdist = make_sdist(tmp_path, project_of(wheel))
    bytes_told = refused(client.upload(wheel, token, attestations=sent(*sign(world, other))))
    name_told = refused(client.upload(wheel, token, attestations=sent(*sign(world, sdist))))
    assert bytes_told != name_told


def test_attestations_of_an_unknown_type(world, client, token, wheel):
    attestations = sign(world, wheel, predicate_types=("https://example.org/build/v1",))
    told = refused(client.upload(wheel, token, attestations=sent(*attestations)))
    assert "https://example.org/build/v1" in told


def test_one_bad_attestation_spoils_the_file(world, client, token, wheel):
    good, bad = sign(world, wheel, predicate_types=(PUBLISH, SLSA))
    bad = changed(bad, tamper_signature)
    refused(
        client.upload(
            wheel, token, attestations=json.dumps([*json.loads(sent(good)), *json.loads(bad)])
        )
    )


@pytest.mark.parametrize(
    "claims",
    [
        {
            "repository": "somebody/else",
            "repository_owner": "somebody",
            "job_workflow_ref": "somebody/else/.github/workflows/release.yml@" + JOB["ref"],
        },
        {"job_workflow_ref": JOB["job_workflow_ref"].replace("release", "build")},
    ],
)
def test_attestations_of_another_publisher(world, client, wheel, claims):
    # The second is a reusable workflow: the exchange looks at the called one, the certificate
    # names the calling one.
    answer = client.upload(wheel, client.token(**claims), attestations=sent(*sign(world, wheel)))
    refused(answer)


def test_attestations_of_another_sigstore(client, token, wheel):
    with World(claims=JOB, registry=Registry.open()) as elsewhere:
        refused(client.upload(wheel, token, attestations=sent(*sign(elsewhere, wheel))))


def _places(document, path=()):
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in list(pairs):
            yield (*path, key)
            yield from _places(value, (*path, key))


@pytest.mark.slow
def test_whatever_an_attestation_holds_the_answer_is_a_refusal(world, client, token, wheel):
    document = json.loads(sent(*sign(world, wheel)))
    for path in list(_places(document)):
        for value in (None, "", "AAAA", "é", -1, 10**30, [], {}):
            changed_document = copy.deepcopy(document)
            parent = changed_document
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            answer = client.upload(wheel, token, attestations=json.dumps(changed_document))
            assert answer.status_code == 400, f"{path} = {value!r}: {answer.text}"


def test_foreign_provenance_can_be_served(world, client, token, wheel):
    client.upload(wheel, token, attestations=sent(*sign(world, wheel)))
    address = provenance_of(client, wheel).removeprefix(client.url)
    right = client.get(address).text
    world.faults.plan(parse_fault("integrity=provenance*1"))
    wrong = client.get(address)
    assert wrong.status_code == 200
    assert wrong.headers["Content-Type"] == INTEGRITY_JSON
    assert Provenance.model_validate_json(wrong.text) != Provenance.model_validate_json(right)
    assert client.get(address).text == right


def test_foreign_provenance_of_the_only_file(tmp_path):
    with World(claims=JOB, registry=Registry.open()) as world:
        client = client_of(world)
        wheel = make_wheel(tmp_path)
        client.upload(wheel, client.token(), attestations=sent(*sign(world, wheel)))
        world.faults.plan(parse_fault("integrity=provenance*1"))
        address = provenance_of(client, wheel).removeprefix(client.url)
        wrong = Provenance.model_validate_json(client.get(address).text)
        (attestation,) = wrong.attestation_bundles[0].attestations
        digest = attestation.statement["subject"][0]["digest"]["sha256"]
        assert digest != client.simple("sample")["files"][0]["hashes"]["sha256"]
