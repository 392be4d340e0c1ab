"""Turns the node tree of a file into specs, and what they refuse into diagnostics."""
