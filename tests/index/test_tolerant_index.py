"""An index that takes what PyPI refuses gets it, if the user waives PyPI's rules."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from twine.exceptions import InvalidDistribution
from twine.package import PackageFile
from werkzeug.wrappers import Request, Response

from attested_publish.journey import publish
from attested_publish.settings import understand
from support.makers import make_sdist, make_wheel, metadata_text
from support.releases import problem, run
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.report import Report
    from support.releases import Stage

INFO = "sample-1.0.dist-info"
PASSWORD = "of-somebody"


@dataclass
class TolerantIndex:
    """Takes every upload, and remembers its form; it has no pages."""

    forms: list[dict[str, list[str]]] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    def __call__(self, environ, start_response):
        with Request(environ) as request:
            if request.method != "POST" or request.path != "/legacy/":
                return Response("Not found", 404)(environ, start_response)
            self.forms.append(request.form.to_dict(flat=False))
            self.contents.append(request.files["content"].stream.read())
            return Response("")(environ, start_response)

    @property
    def form(self) -> dict[str, list[str]]:
        """The form of the only upload."""
        (form,) = self.forms
        return form


@dataclass
class Publisher:
    """A job that publishes one folder to the index; `printed` is what the last run said."""

    stage: Stage
    index: TolerantIndex
    address: str
    printed: str = ""

    def run(self, folder: Path, **settings: str) -> Report:
        values = {
            "packages-dir": str(folder),
            "repository-url": self.address,
            "user": "somebody",
            "password": PASSWORD,
            "confirm": "false",
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        targets = self.stage.targets_at(self.address)
        report, self.printed = run(publish.publish, understand(values), targets)
        return report


@pytest.fixture
def publisher(stage: Stage) -> Iterator[Publisher]:
    index = TolerantIndex()
    with serving(index) as server:
        yield Publisher(stage, index, f"{server.url}/legacy/")


def refused_by_twine(path: Path) -> Path:
    with pytest.raises(InvalidDistribution):
        PackageFile.from_filename(str(path), None)
    return path


LICENCE = {"Metadata-Version": "2.3", "License-Expression": "MIT"}


def test_a_licence_expression_in_metadata_2_3(publisher: Publisher, tmp_path: Path) -> None:
    path = refused_by_twine(make_wheel(tmp_path / "d", metadata=LICENCE))
    report = publisher.run(path.parent)
    assert report.result == "refused"
    assert publisher.index.forms == []
    report = publisher.run(path.parent, verify_metadata="false")
    assert report.result == "done", publisher.printed
    form = publisher.index.form
    assert form["metadata_version"] == ["2.3"]
    assert form["license_expression"] == ["MIT"]
    assert (form["name"], form["version"]) == (["sample"], ["1.0"])
    assert (form["filetype"], form["pyversion"]) == (["bdist_wheel"], ["py3"])
    assert form["sha256_digest"] == [hashlib.sha256(path.read_bytes()).hexdigest()]
    assert publisher.index.contents == [path.read_bytes()]


def test_an_unknown_field(publisher: Publisher, tmp_path: Path) -> None:
    """No form has a name for it; everything else is sent."""
    path = refused_by_twine(
        make_wheel(tmp_path / "d", metadata={"Colour": "red", "Requires-Dist": ["a", "b"]})
    )
    report = publisher.run(path.parent, verify_metadata="false")
    assert report.result == "done", publisher.printed
    form = publisher.index.form
    assert form["requires_dist"] == ["a", "b"]
    assert form["summary"] == ["A sample project"]
    assert form["description"] == ["A sample.\n"]
    assert not form.keys() & {"colour", "Colour"}


@pytest.mark.parametrize(
    ("metadata", "sent"),
    [
        (metadata_text(headers={"Dynamic": "Version"}), {"dynamic": ["Version"]}),
        (metadata_text(headers={"Metadata-Version": "abc"}), {"metadata_version": ["abc"]}),
        (metadata_text(headers={"License-Expression": "ours"}), {"license_expression": ["ours"]}),
        (metadata_text(headers={"Requires-Dist": "a b c"}), {"requires_dist": ["a b c"]}),
        (metadata_text(headers={"Summary": ["one", "two"]}), {"summary": ["one"]}),
        (metadata_text(headers={"Keywords": ["a,b", "c"]}), {"keywords": ["a, b"]}),
        (
            metadata_text(headers={"Project-URL": ["A, https://a.org", "A, https://b.org"]}),
            {"project_urls": ["A, https://b.org"]},
        ),
        (
            metadata_text(headers={"Metadata-Version": "2.1", "License-File": "COPYING"}),
            {"license_file": None},
        ),
        (f"\ufeff{metadata_text()}", {"metadata_version": ["2.4"]}),
    ],
)
def test_other_metadata_that_twine_refuses(
    metadata: str, sent: dict[str, list[str] | None], publisher: Publisher, tmp_path: Path
) -> None:
    path = make_sdist(tmp_path / "d", metadata=metadata)
    report = publisher.run(path.parent, verify_metadata="false")
    assert report.result == "done", publisher.printed
    form = publisher.index.form
    assert {name: form.get(name) for name in sent} == sent
    assert (form["name"], form["version"]) == (["sample"], ["1.0"])
    assert (form["filetype"], form["pyversion"]) == (["sdist"], ["source"])


def test_another_encoding(publisher: Publisher, tmp_path: Path) -> None:
    text = metadata_text(headers={"Author": "J\xf6rg"}, body="Gr\xfc\xdfe\n").encode("latin-1")
    path = refused_by_twine(make_wheel(tmp_path / "d", extra_files={f"{INFO}/METADATA": text}))
    report = publisher.run(path.parent, verify_metadata="false")
    assert report.result == "done", publisher.printed
    assert publisher.index.form["description"][0].startswith("Gr")
    assert publisher.index.form["author"][0].startswith("J")


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        (metadata_text(headers={"Name": None}), "its metadata has no name"),
        (metadata_text(headers={"Version": None}), "its metadata has no version"),
        ("Name: sample\nVersion: 1.0\n", "Metadata-Version"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_the_upload(
    metadata: str, why: str, publisher: Publisher, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "d", metadata=metadata)
    report = publisher.run(tmp_path / "d", verify_metadata="false")
    assert report.result == "refused"
    assert why in problem(report)
    assert publisher.index.forms == []


def test_what_is_no_archive_is_refused_before_the_upload(
    publisher: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "sample-1.0-py3-none-any.whl").write_bytes(b"<html>")
    report = publisher.run(tmp_path / "d", verify_metadata="false")
    assert report.result == "refused"
    assert "cannot read" in problem(report)
    assert publisher.index.forms == []


def test_a_refusal_says_how_such_an_index_gets_the_file(
    publisher: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    make_wheel(tmp_path / "own", version="1.0+local")
    told = problem(publisher.run(tmp_path / "own"))
    assert "which PyPI does not accept" in told
    assert "set `verify-metadata: false`" in told
    assert not publisher.index.forms


def test_pypi_gets_no_such_advice(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    make_wheel(tmp_path / "own", version="1.0+local")
    told = problem(stage.run(packages_dir=str(tmp_path / "own")))
    assert "which PyPI does not accept" in told
    assert "verify-metadata" not in told


def test_other_indexes_are_not_said_to_have_trusted_publishers(
    publisher: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    make_wheel(tmp_path / "own")
    assert publisher.run(tmp_path / "own").result == "done"
    assert "no attestations are made" in publisher.printed
    assert "id-token" not in publisher.printed
