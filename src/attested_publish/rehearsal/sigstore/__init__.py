"""The embedded Sigstore."""
