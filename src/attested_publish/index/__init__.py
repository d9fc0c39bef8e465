"""A package index: its addresses, what it serves, its API tokens, and uploads."""
