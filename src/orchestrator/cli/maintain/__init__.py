"""Commands that look after an installation and its store."""
