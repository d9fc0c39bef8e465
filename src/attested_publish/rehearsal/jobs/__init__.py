"""The CI jobs that a rehearsal can simulate."""
