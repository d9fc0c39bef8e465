"""What people give as user and password: each mistake has a sentence, which never shows a value."""

from __future__ import annotations

import pytest

from attested_publish.net.addresses import PYPI_UPLOAD_URL, TESTPYPI_UPLOAD_URL
from attested_publish.settings import WrongUsage, understand

SECRET = "AgEI-geheim-geheim"
TOKEN = f"pypi-{SECRET}"
OF_PYPI = f"pypi-AgEIcHlwaS5vcmcCJ{SECRET}"
OF_TESTPYPI = f"pypi-AgENdGVzdC5weXBpLm9yZwIk{SECRET}"
PRIVATE = "https://packages.example.org/legacy/"


def faults(**values: str) -> tuple[str, ...]:
    try:
        understand({name.replace("_", "-"): value for name, value in values.items()})
    except WrongUsage as error:
        return error.sentences
    return ()


MISTAKES = [
    ({"password": f'"{TOKEN}"'}, "quotes"),
    ({"password": f"'{TOKEN}'"}, "quotes"),
    ({"password": f"`{TOKEN}`"}, "quotes"),
    ({"password": f"{TOKEN}'"}, "quotes"),
    ({"password": f"PASSWORD={TOKEN}"}, "a word before the token"),
    ({"password": f'PYPI_TOKEN="{TOKEN}"'}, "quotes"),
    ({"password": f"password: {TOKEN}"}, "a word before the token"),
    ({"password": f"Bearer {TOKEN}"}, "a word before the token"),
    ({"password": f"token {TOKEN}"}, "a word before the token"),
    ({"password": f"__token__:{TOKEN}"}, "a word before the token"),
    ({"password": f"pypi-{SECRET[:6]} {SECRET[6:]}"}, "blank"),
    ({"password": SECRET}, "does not begin with pypi-"),
    ({"password": TOKEN.upper()}, "does not begin with pypi-"),
    ({"password": f"ghp_{SECRET}"}, "does not begin with pypi-"),
    ({"password": "${{ secrets.PYPI_TOKEN }}"}, "has not been evaluated"),
    ({"password": "$PYPI_TOKEN"}, "has not been evaluated"),
    ({"password": TOKEN, "user": "me-geheim"}, "user has to be __token__"),
    ({"password": TOKEN, "user": "__TOKEN__"}, "user has to be __token__"),
    ({"password": TOKEN, "user": '"__token__"'}, "user has to be __token__"),
    ({"user": TOKEN}, "user is an API token"),
    ({"user": TOKEN, "password": TOKEN}, "user is an API token"),
]


@pytest.mark.parametrize("index", [PYPI_UPLOAD_URL, TESTPYPI_UPLOAD_URL])
@pytest.mark.parametrize(("values", "words"), MISTAKES)
def test_a_mistake_is_told_and_no_value_shown(
    values: dict[str, str], words: str, index: str
) -> None:
    (told,) = faults(**values, repository_url=index)
    assert words in told
    assert "geheim" not in told


@pytest.mark.parametrize(("values", "_words"), MISTAKES)
def test_another_index_has_tokens_of_any_form(values: dict[str, str], _words: str) -> None:
    assert faults(**values, repository_url=PRIVATE) == ()


@pytest.mark.parametrize(
    ("token", "index", "words"),
    [
        (OF_PYPI, TESTPYPI_UPLOAD_URL, "a token of PyPI, but"),
        (OF_TESTPYPI, PYPI_UPLOAD_URL, "a token of TestPyPI, but"),
        (OF_PYPI, PYPI_UPLOAD_URL, None),
        (OF_TESTPYPI, TESTPYPI_UPLOAD_URL, None),
        (TOKEN, PYPI_UPLOAD_URL, None),
        (f" {TOKEN}\n", PYPI_UPLOAD_URL, None),
        (OF_PYPI, PRIVATE, None),
    ],
)
def test_a_token_belongs_to_one_of_the_two(token: str, index: str, words: str | None) -> None:
    told = faults(password=token, repository_url=index)
    assert [words in each for each in told] == ([] if words is None else [True])


@pytest.mark.parametrize("blanks", [" ", "\n", " \t\r\n"])
@pytest.mark.parametrize("index", [PYPI_UPLOAD_URL, PRIVATE])
def test_blanks_are_no_password(blanks: str, index: str) -> None:
    (told,) = faults(password=blanks, repository_url=index)
    assert "password consists of blanks" in told
    # Nothing is uploaded: a pull request from a fork has no secrets, and may check all the same.
    for mode in ("check", "attest", "rehearse"):
        assert faults(password=blanks, repository_url=index, mode=mode) == ()


def test_an_account_is_told_both() -> None:
    told = faults(user="me", password="geheim")
    assert len(told) == 2
    assert "geheim" not in str(told)


def test_a_wrong_address_of_pypi_does_not_hide_a_wrong_token() -> None:
    told = faults(password="geheim", repository_url="https://pypi.org/simple/")
    assert [("repository-url" in each, "password" in each) for each in told] == [
        (True, False),
        (False, True),
    ]


def test_http_has_no_users_with_a_colon() -> None:
    (told,) = faults(user="me:geheim", password=SECRET, repository_url=PRIVATE)
    assert "colon" in told
    assert "geheim" not in told
    assert faults(user="me", password=f"{SECRET}:x", repository_url=PRIVATE) == ()


@pytest.mark.parametrize(
    "password", ["caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a\N{NO-BREAK SPACE}b", "\N{KEY}"]
)
def test_another_index_has_passwords_in_any_script(password: str) -> None:
    assert faults(password=password, repository_url=PRIVATE) == ()


@pytest.mark.parametrize("password", ["a\nb", "a\x00b", "a\x7fb"])
def test_no_password_has_a_control_character(password: str) -> None:
    (told,) = faults(password=password, repository_url=PRIVATE)
    assert "control character" in told
