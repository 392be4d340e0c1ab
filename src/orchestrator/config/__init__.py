"""All of `orchestrator.toml`: where it is found, the schema of its tables, and what is wrong with settings."""
