"""Turns the node tree of a file into specs, and validation errors into diagnostics."""
