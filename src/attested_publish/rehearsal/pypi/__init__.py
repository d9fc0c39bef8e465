"""The embedded PyPI."""
