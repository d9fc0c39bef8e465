"""A transparency log that speaks Rekor's version 1.

It accepts entries of kind ``dsse`` and ``hashedrekord`` (0.0.1), the two that software signatures
use, and verifies the signature before it logs an entry.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import rfc8785
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import utils
from werkzeug.wrappers import Response

from attested_publish.rehearsal.faults import Faults
from attested_publish.rehearsal.serving import Refused, json_app, json_body, json_response
from attested_publish.rehearsal.sigstore.keys import LogKey, SignersKey, is_signed
from attested_publish.rehearsal.sigstore.merkle import Tree, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed.wsgi import WSGIApplication
    from werkzeug.wrappers import Request

ORIGIN = "attested-publish rehearsal log, trusted nowhere"

_ENTRIES = "/api/v1/log/entries"
_HASHES = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_BEFORE_ANY_CERTIFICATE = 86400
_DIGITS = 20
"""Digits of an index: those of the largest unsigned 64-bit number."""


@dataclass(frozen=True)
class _Entry:
    body: bytes
    index: int
    integrated: int
    promise: bytes

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.body)


class _Head(NamedTuple):
    """What a checkpoint is about."""

    size: int
    root: bytes


class TransparencyLog:
    """An append-only log. Thread-safe.

    Entry 0 is its own: Go clients treat this index as missing, and omit it from their output. It
    does not count in its length.

    `signer` names the log in its checkpoints; the npm package requires that it is part of the
    base URL in the trusted root.
    """

    def __init__(self, *, signer: str, faults: Faults | None = None) -> None:
        self.key = LogKey()
        self._signer = signer
        self._faults = faults or Faults()
        self._tree = Tree()
        self._tree_id = int.from_bytes(self.key.log_id[:8]) >> 1
        self._entries: list[_Entry] = []
        self._by_leaf: dict[bytes, _Entry] = {}
        self._lock = threading.Lock()
        self._append(_opening(self.key), int(time.time()), self.key)
        self.app: WSGIApplication = json_app(self._answer)

    def __len__(self) -> int:
        return len(self._entries) - 1

    def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "POST", "/api/v1/log/entries":
                return self._add(request)
            case "GET", "/api/v1/log/entries":
                return json_response(self._told(self._at(request.args.get("logIndex", ""))))
            case "GET", "/api/v1/log":
                return json_response(self._state())
            case "GET", "/api/v1/log/publicKey":
                return Response(self.key.public_pem, mimetype="application/x-pem-file")
            case "GET", path if path.startswith(f"{_ENTRIES}/"):
                return json_response(self._told(self._called(path.removeprefix(f"{_ENTRIES}/"))))
            case _:
                raise Refused(404, "The rehearsal's log has no such address")

    def record(self, proposed: Mapping[str, Any], integrated: int) -> dict[str, Any]:
        """Log an entry that was proposed at a time, in seconds since the epoch; describe it.

        No fault applies. Raises `Refused` for what a client could not log either.
        """
        body = rfc8785.dumps(_checked(proposed))
        with self._lock:
            entry = self._append(body, integrated, self.key)
            head, proof = self._head(), self._tree.proof(entry.index)
        return self._described(entry, head, proof, self.key)

    def _add(self, request: Request) -> Response:
        body = rfc8785.dumps(_checked(json_body(request)))
        if self._faults.take("log", "signature"):
            body = _with_another_signature(body)
        integrated = int(time.time())
        if self._faults.take("log", "time"):
            integrated -= _BEFORE_ANY_CERTIFICATE
        with self._lock:
            known = self._by_leaf.get(leaf_hash(body))
            if known is None:
                key = LogKey() if self._faults.take("log", "timestamp") else self.key
                entry = self._append(body, integrated, key)
        if known is not None:
            uuid = self._uuid(known)
            message = f"an equivalent entry already exists in the transparency log with UUID {uuid}"
            response = json_response({"code": 409, "message": message}, 409)
            response.headers["Location"] = f"{_ENTRIES}/{uuid}"
            return response
        uuid = self._uuid(entry)
        response = json_response(self._told(entry), 201)
        response.headers["Location"] = f"{_ENTRIES}/{uuid}"
        # Without quotes, as in Rekor: Go clients use it to look up the entry.
        response.headers["ETag"] = uuid
        return response

    def _append(self, body: bytes, integrated: int, key: LogKey) -> _Entry:
        index = len(self._entries)
        promised: dict[str, str | int] = {
            "body": base64.b64encode(body).decode(),
            "integratedTime": integrated,
            "logID": self.key.log_id.hex(),
            "logIndex": index,
        }
        entry = _Entry(body, index, integrated, key.sign(rfc8785.dumps(promised)))
        self._entries.append(entry)
        self._by_leaf[entry.leaf] = entry
        self._tree.append(entry.leaf)
        return entry

    def _at(self, index: str) -> _Entry:
        if not index.isdecimal():
            raise Refused(400, "logIndex is a number, and has to be told")
        # Python refuses to parse numbers of thousands of digits.
        if len(index) > _DIGITS or int(index) >= len(self._entries):
            raise Refused(404, f"there is no entry {index[:_DIGITS]} in the log")
        return self._entries[int(index)]

    def _called(self, uuid: str) -> _Entry:
        # The tree's id (8 bytes) may precede the leaf's hash (32 bytes), both in hex.
        try:
            entry = self._by_leaf.get(bytes.fromhex(uuid[-64:]))
        except ValueError:
            entry = None
        if entry is None or uuid not in (self._uuid(entry), entry.leaf.hex()):
            raise Refused(404, "there is no entry of this UUID in the log")
        return entry

    def _uuid(self, entry: _Entry) -> str:
        return f"{self._tree_id:016x}{entry.leaf.hex()}"

    def _told(self, entry: _Entry) -> dict[str, Any]:
        with self._lock:
            head, proof = self._head(), self._tree.proof(entry.index)
        if self._faults.take("log", "proof"):
            # A path for another entry: the leaf's neighbour is different.
            proof = [hashlib.sha256(b"wrong").digest(), *proof[1:]]
        key = LogKey() if self._faults.take("log", "checkpoint") else self.key
        return {self._uuid(entry): self._described(entry, head, proof, key)}

    def _head(self) -> _Head:
        return _Head(len(self._tree), self._tree.root())

    def _described(
        self, entry: _Entry, head: _Head, proof: Sequence[bytes], key: LogKey
    ) -> dict[str, Any]:
        """Describe an entry, with the proof that it is in a tree; `key` signs the tree's head."""
        return {
            "body": base64.b64encode(entry.body).decode(),
            "integratedTime": entry.integrated,
            "logID": self.key.log_id.hex(),
            "logIndex": entry.index,
            "verification": {
                "inclusionProof": {
                    "checkpoint": self._checkpoint(head, key),
                    "hashes": [each.hex() for each in proof],
                    "logIndex": entry.index,
                    "rootHash": head.root.hex(),
                    "treeSize": head.size,
                },
                "signedEntryTimestamp": base64.b64encode(entry.promise).decode(),
            },
        }

    def _state(self) -> dict[str, Any]:
        with self._lock:
            head = self._head()
        return {
            "inactiveShards": [],
            "rootHash": head.root.hex(),
            "signedTreeHead": self._checkpoint(head, self.key),
            "treeID": str(self._tree_id),
            "treeSize": head.size,
        }

    def _checkpoint(self, head: _Head, key: LogKey) -> str:
        """Return a tree head as a signed note (C2SP tlog-checkpoint, with Rekor's key hint)."""
        text = f"{ORIGIN} - {self._tree_id}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"
        signature = base64.b64encode(self.key.log_id[:4] + key.sign(text.encode())).decode()
        return f"{text}\n— {self._signer} {signature}\n"


def _checked(proposed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry to log for a proposed one, after verifying its signatures."""
    try:
        match proposed:
            case {"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": content}}:
                spec = _dsse(content)
            case {"kind": "hashedrekord", "apiVersion": "0.0.1", "spec": content}:
                spec = _hashedrekord(content)
            case _:
                raise Refused(400, "the log takes entries of kind dsse and hashedrekord, 0.0.1")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, UnsupportedAlgorithm):
        raise Refused(400, "the proposed entry is not what its kind says") from None
    return {"apiVersion": "0.0.1", "kind": proposed["kind"], "spec": spec}


def _dsse(content: Mapping[str, Any]) -> dict[str, Any]:
    text: str = content["envelope"]
    envelope = json.loads(text)
    payload = base64.b64decode(envelope["payload"], validate=True)
    kind = envelope["payloadType"].encode()
    # What a DSSE signature covers: its pre-authentication encoding.
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    verifiers = [str(each) for each in content["verifiers"]]
    keys = {verifier: _key(verifier) for verifier in verifiers}
    signatures = []
    for signature in (str(each["sig"]) for each in envelope["signatures"]):
        raw = base64.b64decode(signature, validate=True)
        verifier = next((each for each in verifiers if is_signed(signed, raw, keys[each])), None)
        if verifier is None:
            raise Refused(400, "a signature of the envelope could not be verified")
        signatures.append({"signature": signature, "verifier": verifier})
    if not signatures or {each["verifier"] for each in signatures} != set(verifiers):
        raise Refused(400, "the envelope is not signed by every verifier")
    return {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(text.encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": signatures,
    }


def _hashedrekord(content: Mapping[str, Any]) -> dict[str, Any]:
    digest, signature = content["data"]["hash"], content["signature"]
    algorithm = _HASHES[digest["algorithm"]]
    value = bytes.fromhex(digest["value"])
    if len(value) != algorithm.digest_size:
        raise Refused(400, "the digest is not as long as its algorithm's are")
    verifier = signature["publicKey"]["content"]
    raw = base64.b64decode(signature["content"], validate=True)
    if not is_signed(value, raw, _key(verifier), utils.Prehashed(algorithm)):
        raise Refused(400, "the signature could not be verified")
    return {
        "data": {"hash": {"algorithm": digest["algorithm"], "value": digest["value"]}},
        "signature": {"content": signature["content"], "publicKey": {"content": verifier}},
    }


def _key(verifier: str) -> SignersKey:
    """Read a PEM certificate or public key, in Base64."""
    pem = base64.b64decode(verifier, validate=True)
    if b"-----BEGIN CERTIFICATE-----" in pem:
        key: object = x509.load_pem_x509_certificate(pem).public_key()
    else:
        key = serialization.load_pem_public_key(pem)
    if not isinstance(key, SignersKey):
        raise TypeError("no key that signs software")
    return key


def _opening(key: LogKey) -> bytes:
    """Return the body of a log's first entry: its own name, signed by itself."""
    name = ORIGIN.encode()
    spec: dict[str, Any] = {
        "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(name).hexdigest()}},
        "signature": {
            "content": base64.b64encode(key.sign(name)).decode(),
            "publicKey": {"content": base64.b64encode(key.public_pem.encode()).decode()},
        },
    }
    return rfc8785.dumps({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec})


def _with_another_signature(body: bytes) -> bytes:
    entry = json.loads(body)
    other = base64.b64encode(LogKey().sign(b"something else")).decode()
    if entry["kind"] == "dsse":
        entry["spec"]["signatures"][0]["signature"] = other
    else:
        entry["spec"]["signature"]["content"] = other
    return rfc8785.dumps(entry)
