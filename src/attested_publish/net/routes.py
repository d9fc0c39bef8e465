"""The proxies that requests use, and the certificates that they trust.

The only place that reads the environment for this. `requests` would read `~/.netrc`, too, and
its passwords would replace the tokens that we send.
"""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy

from attested_publish.net.addresses import is_loopback
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.untrusted import shown

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The variables that name a certificate file; the first that is set counts."""


class NoRoute(requests.RequestException):
    """The environment's proxy or certificate settings cannot be used; the text says why."""


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies for an address, as `requests` expects them; none for this machine.

    Raises `NoRoute` for a proxy of an unsupported kind.
    """
    if is_loopback(urlsplit(url).hostname or ""):
        return {}
    proxies: dict[str, str] = get_environ_proxies(url)
    proxy = select_proxy(url, proxies)
    if proxy:
        scheme = proxy.partition("://")[0].lower() if "://" in proxy else "http"
        if scheme not in {"http", "https"}:
            raise NoRoute(
                f"its proxy is {shown(without_credentials(proxy), 200)}, and {shown(scheme, 20)} "
                "proxies are not supported: set HTTPS_PROXY to an http proxy"
            )
    return proxies


def certificates() -> str | bool:
    """Return the file or folder of trusted certificates; `True`: those of the package certifi.

    Raises `NoRoute` if it does not exist or contains no certificates.
    """
    for variable in _CERTIFICATES:
        if path := os.environ.get(variable):
            if why_not := _why_unusable(path):
                raise NoRoute(f"{variable} names {shown(path, 200)}, {why_not}")
            return path
    return True


@functools.cache
def _why_unusable(path: str) -> str:
    if Path(path).is_dir():
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "which is not a certificate file (PEM)"
    except OSError as error:
        return f"which cannot be read ({error.strerror})"
    return ""
