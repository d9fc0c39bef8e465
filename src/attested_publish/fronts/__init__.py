"""How a run is started: the command and the GitHub Action."""
