"""Publish Python distributions to PyPI, each with a signed PEP 740 attestation."""

__version__ = "0.1.0"

DOCUMENTATION = "https://github.com/attested-publish/attested-publish/blob/main/"
"""Where the README and `docs/` are read."""
