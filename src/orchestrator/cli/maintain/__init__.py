"""Commands that maintain an installation: its store, its keys, its shell completion."""
