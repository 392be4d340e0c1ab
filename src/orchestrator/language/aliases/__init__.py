"""Turns accepted spellings into canonical ones."""
