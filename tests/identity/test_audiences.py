"""No index gets an identity token with which it could act elsewhere in the job's name."""

from __future__ import annotations

import pytest

from attested_publish.index.index import Index

PRIVATE = Index.at("https://packages.example.org/legacy/")


@pytest.mark.parametrize(
    "audience",
    [
        *("pypi", "testpypi", "sigstore", "PyPI"),
        *("sts.amazonaws.com", "https://sts.amazonaws.com", "sts.eu-west-1.amazonaws.com"),
        *("api://AzureADTokenExchange", "api://AzureADTokenExchangeChina"),
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
        *("https://github.com/octo-org", "https://gitlab.com"),
        *("npm:registry.npmjs.org", "crates.io", "rubygems.org", "https://www.nuget.org"),
    ],
)
def test_another_service_s_audience_is_refused(audience: str) -> None:
    assert not PRIVATE.may_ask_for(audience, is_provider_local=False)


@pytest.mark.parametrize(
    "audience",
    ["octo", "packages.example.org", "https://packages.example.org/pypi", "pyx", "my-pypi"],
)
def test_an_audience_of_its_own_is_not(audience: str) -> None:
    assert PRIVATE.may_ask_for(audience, is_provider_local=False)


def test_pypi_gets_its_own_only() -> None:
    pypi = Index.at("https://upload.pypi.org/legacy/")
    assert pypi.may_ask_for("pypi", is_provider_local=False)
    assert not pypi.may_ask_for("testpypi", is_provider_local=False)
    assert not pypi.may_ask_for("sts.amazonaws.com", is_provider_local=False)
