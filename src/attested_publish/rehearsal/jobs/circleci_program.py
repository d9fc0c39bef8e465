"""The program `circleci` of a simulated CircleCI job, called with a file and the arguments.

It supports only ``circleci run oidc get``, and returns tokens of the root issuer. The file has the
address to request them from: `{"url", "token"}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import requests

_SECONDS = 20


def main() -> None:
    """Print an identity token for the audience in the claims."""
    parser = argparse.ArgumentParser(prog="circleci")
    parser.add_argument("issuer", type=Path)
    for name in ("run", "oidc", "get"):
        parser.add_argument(name, choices=(name,))
    parser.add_argument("--claims", type=json.loads, required=True)
    parser.add_argument("--root-issuer", action="store_true", required=True)
    asked = parser.parse_args()
    if not (isinstance(asked.claims, dict) and asked.claims.get("aud")):
        parser.error("--claims name no audience ('aud')")
    issuer = json.loads(asked.issuer.read_text(encoding="utf-8"))
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(
                issuer["url"],
                params={"audience": asked.claims["aud"]},
                headers={"Authorization": f"bearer {issuer['token']}"},
                timeout=_SECONDS,
            )
        except requests.RequestException:
            sys.exit("Error: the identity provider does not answer")
    if not answer.ok:
        sys.exit(f"Error: the identity provider answers {answer.status_code}")
    print(answer.json()["value"])


if __name__ == "__main__":
    main()
