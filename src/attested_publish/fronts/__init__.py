"""The ways to start a run: the command and the GitHub Action."""
