"""What a tag says of a release: real ones, with what each setting makes of them.

The real ones are named after whose they are, or which tool makes them.
"""

from __future__ import annotations

import time

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from attested_publish.rules.version_tag import Release, faults_of_tag, findings_of_tag
from attested_publish.settings import TagPattern, VersionTag, WrongUsage, tag_pattern, understand

NAMED = [
    # setuptools_scm, hatch-vcs, bumpversion, poetry-dynamic-versioning
    ("v1.2", "sample 1.2"),
    ("1.2.0", "sample 1.2"),
    ("v1.2", "sample 1.2.0"),
    ("V1.2.3", "sample 1.2.3"),
    ("v69.0.3", "setuptools 69.0.3"),
    ("release-1.2", "sample 1.2"),
    ("release/1.2", "sample 1.2"),
    ("releases/v1.2", "sample 1.2"),
    ("rel-1.2", "sample 1.2"),
    ("rel/1.2.3", "sample 1.2.3"),
    ("version-1.2.3", "sample 1.2.3"),
    ("release1.2.3", "sample 1.2.3"),
    ("r1.2.3", "sample 1.2.3"),
    # A project's name before it
    ("name-1.2", "name 1.2"),
    ("name@1.2", "name 1.2"),
    ("name/v1.2", "name 1.2"),
    ("name-v1.2", "name 1.2"),
    ("name_1.2", "name 1.2"),
    ("docutils-0.20.1", "docutils 0.20.1"),
    ("twisted-23.10.0", "Twisted 23.10.0"),
    ("wxPython-4.2.1", "wxPython 4.2.1"),
    ("pyparsing_3.1.1", "pyparsing 3.1.1"),
    ("rel_2_0_25", "SQLAlchemy 2.0.25"),
    ("rel_2_0_0b1", "SQLAlchemy 2.0.0b1"),
    ("2_9_9", "psycopg2 2.9.9"),
    ("release_2023.3", "pytz 2023.3"),
    ("en_core_web_sm-3.7.1", "en-core-web-sm 3.7.1"),
    ("foo-2-1.3", "foo-2 1.3"),
    ("my.dotted_Name-1.3", "my-dotted-name 1.3"),
    # Repositories of several projects: release-please, changesets, others
    ("pkg-v1.2.3", "pkg 1.2.3"),
    ("google-cloud-storage-v2.14.0", "google-cloud-storage 2.14.0"),
    ("google-cloud-storage: v2.14.0", "google-cloud-storage 2.14.0"),
    ("@scope/name@1.2", "name 1.2"),
    ("@scope/name@1.2.3", "scope-name 1.2.3"),
    ("azure-core_1.29.7", "azure-core 1.29.7"),
    ("langchain-core==0.1.15", "langchain-core 0.1.15"),
    ("providers-amazon/8.16.0", "apache-airflow-providers-amazon 8.16.0"),
    ("packages/name/v1.2", "name 1.2"),
    ("python/name/v1.2.3", "name 1.2.3"),
    ("core-v1.2.3", "acme-core 1.2.3"),
    ("py-0.20.5", "polars 0.20.5"),
    ("python-v0.15.1", "tokenizers 0.15.1"),
    ("sample-v1.2", "sample 1.2"),
    # Before and after a release
    ("v1.2.3-rc.1", "sample 1.2.3rc1"),
    ("v1.2.3rc1", "sample 1.2.3rc1"),
    ("v1.2.3-alpha.4", "sample 1.2.3a4"),
    ("v1.2.3-beta4", "sample 1.2.3b4"),
    ("v1.2.3.beta.4", "sample 1.2.3b4"),
    ("v1.2.3-preview.2", "sample 1.2.3rc2"),
    ("3.0.0a11", "Cython 3.0.0a11"),
    ("1.2.3.post1", "sample 1.2.3.post1"),
    ("v1.2.3-1", "sample 1.2.3.post1"),
    ("v1.2.3.dev4", "sample 1.2.3.dev4"),
    ("v1.2.3-dev.4", "sample 1.2.3.dev4"),
    ("v1!2.0", "sample 1!2.0"),
    # Local versions are for other indexes, and not everybody has them in a tag
    ("v2.2.0", "torch 2.2.0+cu121"),
    ("v1.2.3+build.7", "sample 1.2.3"),
    ("v1.2.3+build.7", "sample 1.2.3+build.7"),
    # Dates that are versions
    ("2023.11.17", "certifi 2023.11.17"),
    ("2023.07.22", "certifi 2023.7.22"),
    ("24.1.0", "black 24.1.0"),
    ("2024-01-15", "sample 2024.1.15"),
    ("v20240115", "sample 20240115"),
]
"""Tags that name the version, whatever the setting is: after a usual prefix, or a name."""

SILENT = [
    ("nightly", "sample 1.2"),
    ("latest", "sample 1.2"),
    ("stable", "sample 1.2"),
    ("production", "sample 1.2"),
    ("release", "sample 1.2"),
    ("v1", "sample 1.4.2"),
    ("v1", "sample 1.0.0rc1"),
    ("v1.4", "sample 1.4.2"),
    ("sample-v1", "sample 1.4.2"),
    ("2024-01-15", "sample 1.2"),
    ("2024.01.15", "sample 1.2"),
    ("20240115", "sample 1.2"),
    ("20240115", "sample 2024.1.15"),
    ("v2024.01.15", "sample 1.2.3"),
    ("release-20240115", "sample 1.2"),
    ("release-2024-01-15-2", "sample 1.2"),
    ("24.01.15", "sample 1.2"),
    ("nightly-20240115", "sample 1.2"),
    ("nightly-2024-01-15", "sample 2024.1.14"),
    ("build-417", "sample 1.2"),
    ("release-42", "sample 1.2"),
    ("417", "sample 1.2"),
    ("b306", "pywin32 306"),
    ("80", "opencv-python 4.9.0.80"),
    ("v80", "opencv-python 4.9.0.80"),
    ("v57", "sample 0.57.1"),
    ("v1234567", "sample 1.2"),
    ("2024-01-15", "virtualenv 20.24.1"),
    ("2024.1.15", "virtualenv 20.24.1"),
    ("15-01-2024", "sample 1.2"),
    ("15.01.2024", "sample 1.2"),
    ("20240115103000", "sample 1.2"),
    ("v202401151030", "sample 1.2"),
    ("2024-01", "sample 1.2"),
    ("2024Q1", "sample 1.2"),
    ("2024-W03", "sample 1.2"),
    ("20240115.1", "sample 1.2"),
    ("20240115.1", "sample 2024.1.15"),
    ("2024-01-15T10-30", "sample 1.2"),
    ("v1.2.x", "sample 1.3"),
    ("sample-1.2-py3", "sample 1.3"),
    ("1.2.3-20240115", "sample 1.2.3"),
    ("v1234567-g12", "sample 1.2"),
    ("backup/2024.1.15", "sample 1.2"),
    ("archive/v0.9", "sample 1.2"),
    ("v25.2", "protobuf 4.25.2"),
    ("v26.0-rc1", "protobuf 5.26.0rc1"),
    ("python-3.12", "sample 1.2"),
    ("py3", "sample 1.2"),
    ("python3.12.1", "sample 1.2"),
    ("helm-chart/1.11.0", "apache-airflow 2.8.1"),
    ("chart-0.4.1", "sample 1.2"),
    ("docker-v3", "sample 1.2"),
    ("go/v15.0.0", "pyarrow 15.0.1"),
    ("providers/2024-01-26", "apache-airflow-providers-amazon 8.16.0"),
    ("1.2-1", "sample 1.2"),
    ("v2.0", "sample 1!2.0"),
    ("v1.3.0-final", "sample 1.2"),
    ("v1.3.0-next.0", "sample 1.3.0rc1"),
    ("api/v2.1.0", "sample 1.2"),
    ("abc1234", "sample 1.2"),
    ("sprint-12.1", "sample 1.2"),
    ("ubuntu-22.04", "sample 1.2"),
    ("версия-٣.٤", "sample 1.2"),
    ("", "sample 1.2"),
    ("v", "sample 1.2"),
    ("9" * 5000, "sample 1.2"),
    ("1." * 5000, "sample 1.2"),
]
"""Tags that have no other version in them, as far as anybody can know."""

OTHER = [
    ("v1.3", "sample 1.2"),
    ("v1.4.2", "sample 1.4"),
    ("1.2.3", "sample 1.2.4"),
    ("v2", "sample 1.4.2"),
    ("v2", "sample 1.4"),
    ("v57", "sample 58.1"),
    ("20240114", "sample 20240115"),
    ("v2024.1", "sample 2023.12"),
    ("v2024.1.1", "sample 2024.1"),
    ("v15.1.2", "sample 1.2"),
    ("release-1.3", "sample 1.2"),
    ("release/1.3", "sample 1.2"),
    ("sample-1.3", "sample 1.2"),
    ("sample@1.3", "sample 1.2"),
    ("sample/v1.3", "sample 1.2"),
    ("@scope/sample@1.3.0", "sample 1.2"),
    ("SAMPLE_1.3", "sample 1.2"),
    ("sample1.3", "sample 1.2"),
    ("core-v1.3", "acme-core 1.2"),
    ("langchain-core==0.1.15", "langchain-core 0.1.14"),
    ("rel_2_0_25", "SQLAlchemy 2.0.24"),
    ("foo-2-1.3", "foo-2 1.4"),
    ("v1.2.3-rc.1", "sample 1.2.3"),
    ("v1.2.3", "sample 1.2.3rc1"),
    ("v1.2.3-rc.1", "sample 1.2.3rc2"),
    ("v1.2.3.post1", "sample 1.2.3"),
    ("v1.2", "sample 1.2.1.dev3"),
    ("v1.2.3", "sample 1.2.4.dev0+g1234abc.d20240115"),
    ("v1.2+cu118", "torch 1.2+cu121"),
    ("v1!2.0", "sample 2.0"),
    ("24.1.0", "black 23.12.1"),
    ("2024.1.15", "sample 2024.1.14"),
    ("2024.1.15", "sample 2023.12.1"),
    ("306", "pywin32 305"),
    ("py-0.20.5", "polars 0.20.4"),
    ("v20.1", "sample 1.2"),
]
"""Tags of another version, beyond doubt."""


def releases(text: str) -> list[Release]:
    pairs = (one.split() for one in text.split(","))
    return [Release(canonicalize_name(name), Version(version)) for name, version in pairs]


def verdicts(tag: str, text: str, wish: VersionTag | TagPattern) -> dict[str, str]:
    return {
        fault.release.project: fault.severity.value
        for fault in faults_of_tag(tag, releases(text), wish)
    }


def test_the_table_is_large_enough() -> None:
    assert len({tag for tag, _ in (*NAMED, *SILENT, *OTHER)}) > 100


@pytest.mark.parametrize(("tag", "release"), NAMED)
def test_a_tag_that_names_the_version(tag: str, release: str) -> None:
    assert verdicts(tag, release, VersionTag.AUTO) == {}
    assert verdicts(tag, release, VersionTag.REQUIRED) == {}


@pytest.mark.parametrize(("tag", "release"), SILENT)
def test_a_tag_without_a_version_is_no_alarm_but_not_what_may_be_required(
    tag: str, release: str
) -> None:
    assert verdicts(tag, release, VersionTag.AUTO) == {}
    assert set(verdicts(tag, release, VersionTag.REQUIRED).values()) == {"error"}


@pytest.mark.parametrize(("tag", "release"), OTHER)
def test_a_tag_of_another_version(tag: str, release: str) -> None:
    assert set(verdicts(tag, release, VersionTag.AUTO).values()) == {"warning"}
    assert set(verdicts(tag, release, VersionTag.REQUIRED).values()) == {"error"}
    assert verdicts(tag, release, VersionTag.NEVER) == {}
    (fault,) = faults_of_tag(tag, releases(release), VersionTag.AUTO)
    assert repr(tag) in fault.message
    assert str(fault.release.version) in fault.message


@pytest.mark.parametrize(
    ("tag", "text", "auto", "required"),
    [
        # All have one version.
        ("v1.2", "sample 1.2, other 1.2", "", ""),
        ("v1.3", "sample 1.2, other 1.2", "sample:warning other:warning", "sample other"),
        # A tag for one of them
        ("sample-1.2", "sample 1.2, other 0.4", "other:warning", "other"),
        ("sample-v1.2", "sample 1.2, other 1.2", "other:notice", "other"),
        ("other@0.4", "sample 1.2, other 0.4", "sample:warning", "sample"),
        ("sample/v1.3", "sample 1.2, other 0.4", "sample:warning other:warning", "sample other"),
        ("sample-core-1.2", "sample 1.1, sample-core 1.2", "sample:warning", "sample"),
        ("sample-1.2", "sample 1.2, sample-core 1.1", "sample-core:warning", "sample-core"),
        ("core-1.2", "acme-core 1.2, acme-cli 1.1", "acme-cli:warning", "acme-cli"),
        # opentelemetry has two kinds of versions.
        ("v1.22.0", "api 1.22.0, semantic 0.43b0", "semantic:warning", "semantic"),
        # One for none of them
        ("frontend-v3.0", "sample 1.2, other 0.4", "", "sample other"),
        ("nightly", "sample 1.2, other 0.4", "", "sample other"),
        # Left from an earlier build
        ("v1.2", "sample 1.2, sample 1.1", "sample:warning", "sample"),
    ],
)
def test_several_projects(tag: str, text: str, auto: str, required: str) -> None:
    expected = dict(one.split(":") for one in auto.split())
    assert verdicts(tag, text, VersionTag.AUTO) == expected
    assert verdicts(tag, text, VersionTag.REQUIRED) == dict.fromkeys(required.split(), "error")


def test_who_is_left_out_is_named() -> None:
    faults = faults_of_tag("a-1.0", releases("a 1.0, b 2.0, c 3.0"), VersionTag.AUTO)
    assert [fault.release.project for fault in faults] == ["b", "c"]
    for fault in faults:
        assert "about 'a', not about 'b', 'c'" in fault.message


@pytest.mark.parametrize(
    ("pattern", "tag", "release", "follows"),
    [
        ("v{version}", "v1.2", "sample 1.2.0", True),
        ("v{version}", "1.2", "sample 1.2", False),
        ("{version}", "1.2", "sample 1.2", True),
        ("{version}", "v1.2", "sample 1.2", False),
        ("v{version}", "v1.3", "sample 1.2", False),
        ("v{version}", "v", "sample 1.2", False),
        ("v{version}", "V1.2", "sample 1.2", False),
        ("v{version}", "v1.2.3-rc.1", "sample 1.2.3rc1", True),
        ("v{version}", "v1", "sample 1.2", False),
        ("v{version}", "nightly", "sample 1.2", False),
        ("{version}-final", "1.2-final", "sample 1.2", True),
        ("{version}-final", "1.2-finals", "sample 1.2", False),
        ("{project}-{version}", "My.Sample-1.2", "my-sample 1.2", True),
        ("{project}-{version}", "foo-2-1.3", "foo-2 1.3", True),
        ("{project}-{version}", "foo-2-1.3", "foo 1.3", False),
        ("{project}-{version}", "sample-1.2", "other 1.2", False),
        ("{project}-{version}", "-1.2", "sample 1.2", False),
        ("{project}{version}", "sample1.2", "sample 1.2", True),
        ("py/{project}@{version}", "py/sample@1.2", "sample 1.2", True),
        ("{version}/{project}", "1.2/sample", "sample 1.2", True),
        ("release {version}", "release 1!1.2", "sample 1!1.2", True),
        ("v.*{version}", "v.*1.2", "sample 1.2", True),
        ("v.*{version}", "vvv1.2", "sample 1.2", False),
        ("b{version}", "b306", "pywin32 306", True),
        ("v{version}", "v" + "1." * 5000, "sample 1.2", False),
    ],
)
def test_a_pattern(pattern: str, tag: str, release: str, follows: bool) -> None:
    wish = tag_pattern(pattern)
    expected = {} if follows else {releases(release)[0].project: "error"}
    assert verdicts(tag, release, wish) == expected


def test_a_pattern_says_what_the_tag_would_be() -> None:
    (found,) = findings_of_tag(
        "v1.2", releases("a.b 1.2"), tag_pattern("{project}/{version}")
    ).values()
    assert "'{project}/{version}'" in found.message
    assert "'a-b/1.2'" in found.message


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "v", "v{}", "v{0}", "v{version", "v{version}}", "{project}", "{version}{version}"),
        *("{version}{project}{project}", "{version!r}", "{version:>3}", "{version.major}"),
        *("{tag}-{version}", "v{ version }", "{version[0]}", "v{{version}}"),
    ],
)
def test_a_bad_pattern_is_one_sentence(text: str) -> None:
    with pytest.raises(WrongUsage, match="version-tag") as caught:
        understand({"version-tag": text})
    (sentence,) = caught.value.sentences
    assert repr(text) in sentence
    assert "{version}" in sentence


def test_the_setting_as_people_write_it() -> None:
    assert understand({"version-tag": " TRUE "}).version_tag is VersionTag.REQUIRED
    assert understand({"version-tag": "False"}).version_tag is VersionTag.NEVER
    assert understand({"version-tag": ""}).version_tag is VersionTag.AUTO
    assert understand({"version-tag": "V{version}"}).version_tag == tag_pattern("V{version}")


@pytest.mark.parametrize("wish", [*VersionTag, tag_pattern("{project}-{version}")])
@pytest.mark.parametrize(
    "tag", ["-".join("12" * 200_000), "a-" * 500_000, "1" * 1_000_000, "v1_" * 300_000, "/" * 10**6]
)
def test_any_tag_is_read_at_once(wish: VersionTag | TagPattern, tag: str) -> None:
    began = time.process_time()
    faults = faults_of_tag(tag, releases("sample 1.2, other 3"), wish)
    assert time.process_time() - began < 1
    assert all(len(fault.message) < 500 for fault in faults)
