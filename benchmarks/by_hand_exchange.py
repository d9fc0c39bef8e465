"""Print an API token for this job's identity: `by_hand_exchange.py UPLOAD_URL`.

The first step of the manual way, as the documentation of trusted publishing shows it.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import id as oidc
import requests

_TIMEOUT = 60


def main(upload_url: str) -> None:
    """Ask for the audience, the identity, and the token."""
    parts = urlsplit(upload_url)
    root = f"{parts.scheme}://{parts.netloc}/_/oidc"
    audience = requests.get(f"{root}/audience", timeout=_TIMEOUT)
    audience.raise_for_status()
    identity = oidc.detect_credential(audience.json()["audience"])
    minted = requests.post(f"{root}/mint-token", json={"token": identity}, timeout=_TIMEOUT)
    minted.raise_for_status()
    print(minted.json()["token"])


if __name__ == "__main__":
    main(sys.argv[1])
