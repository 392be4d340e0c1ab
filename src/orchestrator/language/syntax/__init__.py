"""Explains why a text is not YAML, with the place and the fix."""
