"""Print an API token for this job's identity: `by_hand_exchange.py UPLOAD_URL`.

The first step of the manual way, as in the documentation of trusted publishing.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import id as oidc
import requests

_TIMEOUT = 60


def main(upload_url: str) -> None:
    """Request the audience, the identity token, and the API token."""
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
