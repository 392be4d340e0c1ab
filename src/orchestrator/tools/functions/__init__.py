"""Turns Python functions into tools: annotations, docstrings, results, threads."""
