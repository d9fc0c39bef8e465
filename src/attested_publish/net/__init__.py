"""The network, and everything that comes from it: bounded, clean, and patient."""
