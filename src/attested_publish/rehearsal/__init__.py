"""The embedded services: a job's token issuer, Sigstore and PyPI on loopback.

They have new keys in each run, which nobody else trusts. They are a part of the product: people
rehearse a release with them, on a laptop or in a pull request.
"""
