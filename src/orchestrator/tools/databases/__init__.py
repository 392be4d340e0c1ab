"""The databases of `orchestrator.toml`, and how steps read and write them."""
