"""What people write instead of an upload address: refused, with the right address."""

from __future__ import annotations

import pytest

from attested_publish.index.index import Index
from attested_publish.net.addresses import PYPI_UPLOAD_URL, TESTPYPI_UPLOAD_URL, BadAddress
from attested_publish.net.upload_addresses import for_upload
from attested_publish.problems import IndexProblem

OF_PYPI = (
    "https://pypi.org",
    "https://pypi.org/",
    "https://pypi.org/legacy/",
    "https://pypi.org/legacy",
    "https://pypi.org/simple/",
    "https://pypi.org/simple",
    "https://pypi.org/pypi",
    "https://pypi.org/project/sample/",
    "https://www.pypi.org",
    "https://WWW.PyPI.org/",
    "https://upload.pypi.org",
    "https://upload.pypi.org/",
    "https://upload.pypi.org/simple/",
    "https://upload.pypi.org/pypi/",
    "https://upload.pypi.org/Legacy/",
    "https://upload.pypi.org/legacy//",
    "https://upload.pypi.org:8443/legacy/",
    "https://legacy.pypi.org/legacy/",
    "https://docs.pypi.org/trusted-publishers/",
    "https://upload.pypi.io/legacy/",
    "https://pypi.python.org/pypi",
    "https://pypi.python.org/legacy/",
    "https://upload.python.org/legacy/",
    "https://files.pythonhosted.org/packages/",
    "https://upload.pythonhosted.org/legacy/",
    "http://upload.pypi.org/legacy/",
    "http://pypi.org/legacy/",
    "http://pypi.python.org/pypi",
    "pypi.org/legacy/",
    "upload.pypi.org/legacy/",
    "//upload.pypi.org/legacy/",
    "https:/upload.pypi.org/legacy/",
    "ftp://upload.pypi.org/legacy/",
    "pypi.org",
    "pypi",
    "PyPI",
)
OF_TESTPYPI = (
    "https://test.pypi.org",
    "https://test.pypi.org/simple/",
    "https://test.pypi.org/legacy/simple/",
    "http://test.pypi.org/legacy/",
    "https://upload.test.pypi.org/legacy/",
    "https://test.upload.pypi.org/legacy/",
    "https://testpypi.python.org/pypi",
    "https://test.pypi.python.org/legacy/",
    "https://test-files.pythonhosted.org/",
    "test.pypi.org/legacy/",
    "testpypi",
    "TestPyPI",
)


@pytest.mark.parametrize(
    ("url", "right"),
    [
        *((url, PYPI_UPLOAD_URL) for url in OF_PYPI),
        *((url, TESTPYPI_UPLOAD_URL) for url in OF_TESTPYPI),
    ],
)
def test_an_address_of_pypi_that_takes_no_uploads(url: str, right: str) -> None:
    with pytest.raises(BadAddress) as caught:
        for_upload(url)
    assert right in str(caught.value)
    with pytest.raises(IndexProblem) as problem:
        Index.at(url)
    assert right in problem.value.detail


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://github.com/octo-org/sample", "github.com is no package index"),
        ("https://github.com", "is no package index"),
        ("https://raw.githubusercontent.com/octo-org/sample/main/", "is no package index"),
        ("https://octo-org.github.io/simple/", "is no package index"),
        ("https://ghcr.io/octo-org", "is no package index"),
        ("https://bitbucket.org/octo-org/sample", "is no package index"),
        ("https://gitlab.com/octo-org/sample", "https://gitlab.com/api/v4/projects/"),
        ("https://codeberg.org/octo-org/sample", "https://codeberg.org/api/packages/"),
        ("git@github.com:octo-org/sample.git", "not an http(s) URL"),
        ("packages.example.org/legacy/", "begins with https://"),
        ("octo-org/sample", "begins with https://"),
        ("http://packages.example.org/legacy/", "unencrypted"),
        (f'"{PYPI_UPLOAD_URL}"', "quotes"),
        (f"'{PYPI_UPLOAD_URL}'", "quotes"),
        (f"`{PYPI_UPLOAD_URL}`", "quotes"),
        (f"\u201c{PYPI_UPLOAD_URL}\u201d", "quotes"),
        (f"<{PYPI_UPLOAD_URL}>", "brackets"),
        (f"{PYPI_UPLOAD_URL}'", "quotes"),
        (f"- {PYPI_UPLOAD_URL}", "item of a list"),
        (f"* {PYPI_UPLOAD_URL}", "item of a list"),
        (f"{PYPI_UPLOAD_URL},{TESTPYPI_UPLOAD_URL}", "each on a line of its own"),
        (f"{PYPI_UPLOAD_URL}, {TESTPYPI_UPLOAD_URL}", "each on a line of its own"),
        (f"{PYPI_UPLOAD_URL} {TESTPYPI_UPLOAD_URL}", "each on a line of its own"),
        (f"{PYPI_UPLOAD_URL};{TESTPYPI_UPLOAD_URL}", "each on a line of its own"),
        ("https://a.example/ https://b.example/", "each on a line of its own"),
        ("pypi, testpypi", "each on a line of its own"),
        ("pypi.org,test.pypi.org", "each on a line of its own"),
        (f"{PYPI_UPLOAD_URL},", "separator"),
        ("${{ vars.INDEX }}", "has not been evaluated"),
        ("$INDEX", "has not been evaluated"),
        ("https://${HOST}/legacy/", "has not been evaluated"),
        ("%INDEX%", "has not been evaluated"),
        ("https://me:geheim@packages.example.org/", "use user and password"),
        ("https://me:geheim@pypi.org/", "credentials"),
    ],
)
def test_what_is_no_address_of_an_index(url: str, words: str) -> None:
    with pytest.raises(BadAddress) as caught:
        for_upload(url)
    assert words in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "upload_url"),
    [
        ("https://upload.pypi.org/legacy/", PYPI_UPLOAD_URL),
        ("https://upload.pypi.org/legacy", PYPI_UPLOAD_URL),
        ("HTTPS://Upload.PyPI.org/legacy/", PYPI_UPLOAD_URL),
        ("https://test.pypi.org/legacy/", TESTPYPI_UPLOAD_URL),
        ("https://test.pypi.org/legacy", TESTPYPI_UPLOAD_URL),
        ("https://pypi.org.example.org/simple/", "https://pypi.org.example.org/simple/"),
        ("https://mypypi.org/simple/", "https://mypypi.org/simple/"),
        ("https://pypi.example.org/", "https://pypi.example.org/"),
        ("https://packages.example.org/a,b/$x/", "https://packages.example.org/a,b/$x/"),
        ("https://packages.example.org/pypi,v1.2/x", "https://packages.example.org/pypi,v1.2/x"),
        (
            "https://packages.example.org/?next=https://pypi.org",
            "https://packages.example.org/?next=https://pypi.org",
        ),
        (
            "https://gitlab.com/api/v4/projects/1/packages/pypi",
            "https://gitlab.com/api/v4/projects/1/packages/pypi",
        ),
        ("https://git.example.org/octo-org/sample", "https://git.example.org/octo-org/sample"),
        ("http://127.0.0.1:8080/simple/", "http://127.0.0.1:8080/simple/"),
    ],
)
def test_an_address_that_may_take_uploads(url: str, upload_url: str) -> None:
    assert for_upload(url).geturl() == upload_url
    assert Index.at(url).upload_url == upload_url
