"""Child processes that read untrusted files within limits."""
