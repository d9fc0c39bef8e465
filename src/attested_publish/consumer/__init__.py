"""Verifying what others have published."""
