"""A release from the files to the confirmation, stage by stage."""
