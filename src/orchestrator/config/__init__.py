"""All of `orchestrator.toml`."""
