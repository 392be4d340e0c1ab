"""The object stores and directories of `[storage]` in `orchestrator.toml`, and how steps read and write them."""
