"""The CI jobs that a rehearsal pretends to be."""
