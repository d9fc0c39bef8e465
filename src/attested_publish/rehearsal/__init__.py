"""The embedded world: a job's token issuer, Sigstore and PyPI on loopback.

Fresh keys each run, nothing of it trusted anywhere else. It is a part of the product: people
rehearse a release in it, on a laptop or in a pull request.
"""
