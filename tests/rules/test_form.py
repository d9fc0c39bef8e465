"""The form that the rules judge is the one that twine sends."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from twine.exceptions import InvalidDistribution
from twine.package import PackageFile
from twine.settings import Settings
from werkzeug.wrappers import Request

from attested_publish.findings import Severity
from attested_publish.rules import checks, sdist, wheel
from attested_publish.rules.bounds import ArchiveBounds
from attested_publish.rules.form import form_of, read_metadata
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RICH = {
    "Metadata-Version": "2.5",
    "Name": "My.Sample_project",
    "Keywords": "one,two , three",
    "Platform": ["any", "linux"],
    "Supported-Platform": "linux",
    "Classifier": ["Typing :: Typed", "Programming Language :: Python :: 3"],
    "Project-URL": ["Docs, https://python.org", "Source,https://python.org/a,b"],
    "Requires-Dist": ["a", "b; extra == 'x'"],
    "Provides-Extra": "x",
    "License-Expression": "MIT",
    "License-File": ["LICENSE", "NOTICE"],
    "Import-Name": "sample",
    "Author": "J\u00fcrgen",
    "Dynamic": ["Classifier", "Keywords"],
}


class Recorder(BaseAdapter):
    """Takes down the form that is sent, and sends nothing."""

    def send(self, request: PreparedRequest, *_: object, **__: object) -> Response:
        body = io.BytesIO(request.body.read())
        content_type = request.headers["Content-Type"]
        options = {"method": "POST", "input_stream": body, "content_type": content_type}
        with Request.from_values(**options) as received:
            self.form = received.form.to_dict(flat=False)
        answer = Response()
        answer.status_code = 200
        return answer

    def close(self) -> None:
        pass


def sent_by_twine(path: Path) -> dict[str, list[str]]:
    repository = Settings(
        repository_url="https://index.invalid/legacy/",
        username="nobody",
        password="none",
        non_interactive=True,
        disable_progress_bar=True,
    ).create_repository()
    recorder = Recorder()
    repository.session.mount("https://", recorder)
    repository.upload(PackageFile.from_filename(str(path), None))
    # Where the file's name and kind decide, there is nothing to foresee.
    around = {":action", "protocol_version", "filetype", "pyversion"}
    return {
        field: values
        for field, values in recorder.form.items()
        if field not in around and not field.endswith("_digest")
    }


def foreseen(path: Path) -> dict[str, list[str]]:
    size = path.stat().st_size
    if path.suffix == ".whl":
        with wheel.open_wheel(path, path.name, size, ArchiveBounds()) as opened:
            metadata, _ = wheel.metadata_of(opened)
    else:
        metadata, _ = sdist.metadata_of(sdist.open_sdist(path, path.name, size, ArchiveBounds()))
    assert metadata is not None
    raw, findings = read_metadata(metadata)
    assert raw is not None
    assert findings == []
    return {field: list(values) for field, values in form_of(raw).items()}


@pytest.mark.parametrize(
    "make",
    [
        make_wheel,
        make_sdist,
        lambda f: make_wheel(f, "my-sample-project", metadata=RICH),
        lambda f: make_sdist(f, "my-sample-project", metadata=RICH),
        lambda f: make_sdist(f, filename="sample-1.0.zip"),
        lambda f: make_wheel(f, tag="1-cp312.cp313-abi3-win32"),
        lambda f: make_wheel(f, metadata={"Metadata-Version": "2.1", "License-File": "x"}),
        lambda f: make_wheel(
            f, extra_files={"aaa/METADATA": b"Metadata-Version: 2.1\nName: x\nVersion: 2\n"}
        ),
        lambda f: make_wheel(f, extra_files={"sample/x/METADATA": b"Metadata-Version: 2.1\n"}),
    ],
)
def test_the_form_foreseen_is_the_form_sent(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    assert foreseen(path) == sent_by_twine(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda f: make_wheel(f, metadata={"Colour": "red"}),
        lambda f: make_wheel(f, metadata={"Summary": ["one", "two"]}),
        lambda f: make_wheel(f, metadata={"Name": None}),
        lambda f: make_wheel(f, metadata={"Import-Name": "sample"}),
        lambda f: make_wheel(f, omit=["METADATA"]),
        lambda f: make_wheel(f, metadata="nothing"),
        lambda f: make_sdist(f, omit=["PKG-INFO"]),
        lambda f: make_sdist(f, extra_files={"other/file": b""}),
        lambda f: make_sdist(f, metadata={"Requires-Dist": "a b"}),
    ],
)
def test_what_twine_refuses_is_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(InvalidDistribution):
        sent_by_twine(path)
    found = checks.check_file(path, path.name, path.stat().st_size)
    assert Severity.ERROR in [one.severity for one in found]
