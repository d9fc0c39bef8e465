"""PEP 740 attestations: signed, verified, found, kept and converted."""
