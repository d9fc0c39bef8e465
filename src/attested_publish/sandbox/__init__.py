"""Child processes that read untrusted files within bounds."""
