"""Notices about runs: the targets that `orchestrator.toml` configures, and the delivery to them."""
