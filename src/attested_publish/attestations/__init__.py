"""PEP 740 attestations: signing, verifying, finding, keeping and converting them."""
