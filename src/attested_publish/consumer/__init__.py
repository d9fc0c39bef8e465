"""Verify what others have published."""
