"""Mail: the servers that `orchestrator.toml` names, the messages, and their transmission by SMTP."""
