"""The job's identity: identity tokens, and the claims of each provider."""
