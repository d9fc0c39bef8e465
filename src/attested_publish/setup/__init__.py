"""What `attested-publish setup` knows of a repository: what publishes from it, and as whom."""
