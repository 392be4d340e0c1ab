"""Converts accepted spellings into canonical ones."""
