"""One table of settings: action.yml, --help and the README follow it."""

from __future__ import annotations

import re

import pytest

from attested_publish.fronts.cli import _parser
from attested_publish.settings import (
    SETTINGS,
    Attestations,
    Settings,
    WrongUsage,
    understand,
)
from support.paths import ROOT

INCUMBENT = {
    "user",
    "password",
    "repository-url",
    "packages-dir",
    "verify-metadata",
    "skip-existing",
    "verbose",
    "print-hash",
    "attestations",
}


def yaml_inputs() -> dict[str, dict[str, str]]:
    import yaml

    return yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]


def test_the_defaults_of_the_table_are_those_of_the_dataclass() -> None:
    assert understand({}) == Settings()


def test_the_incumbent_s_names_are_kept() -> None:
    assert {setting.name for setting in SETTINGS} >= INCUMBENT


def test_action_yml_follows_the_table() -> None:
    assert {
        name: (row["description"], row.get("default", "")) for name, row in yaml_inputs().items()
    } == {setting.name: (setting.help, setting.default) for setting in SETTINGS}


@pytest.mark.parametrize("command", ["publish", "check", "attest", "rehearse"])
def test_help_follows_the_table(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args([command, "--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for setting in SETTINGS:
        if setting.name == "mode" or setting.is_for_action_only or setting.is_for_locks:
            assert f"--{setting.name} " not in text
            continue
        assert f"--{setting.name} " in text
        assert setting.help.split(";")[0] in text
        if setting.choices:
            assert "{" + ",".join(setting.choices) + "}" in text


def test_the_readme_follows_the_table() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| (.*?) \|$", readme_table(), re.MULTILINE)
    assert rows == [
        (setting.name, f"`{setting.default}`" if setting.default else "empty", setting.help)
        for setting in SETTINGS
    ]


def readme_table() -> str:
    _, _, rest = (ROOT / "README.md").read_text().partition("<!-- settings -->")
    table, _, _ = rest.partition("<!-- /settings -->")
    return table


def test_values_are_read_as_people_write_them() -> None:
    settings = understand(
        {
            "packages-dir": " dist \n\n other/dist \n",
            "attestations": "TRUE",
            "verbose": "True ",
            "password": " pypi-token\n",
            "parallel-uploads": "16",
        }
    )
    assert settings.packages_dir == ("dist", "other/dist")
    assert settings.attestations is Attestations.REQUIRED
    assert settings.verbose
    assert settings.password == "pypi-token"
    assert settings.parallel_uploads == 16


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("attestations", "yes"),
        ("skip-existing", "1"),
        ("mode", "upload"),
        ("parallel-uploads", "0"),
        ("parallel-uploads", "-1"),
        ("parallel-uploads", "٣"),
        ("verify-metadata", "lenient"),
    ],
)
def test_what_a_setting_cannot_be_is_named(name: str, text: str) -> None:
    with pytest.raises(WrongUsage, match=name):
        understand({name: text})


def test_a_password_with_a_line_break_is_not_shown() -> None:
    with pytest.raises(WrongUsage) as caught:
        understand({"password": "pypi-one\npypi-two"})
    assert "pypi-" not in str(caught.value)
    assert "password" in str(caught.value)


def test_the_password_is_not_in_the_settings_text() -> None:
    assert "geheim" not in repr(understand({"password": "pypi-geheim"}))
