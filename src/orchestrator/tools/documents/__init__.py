"""Converts documents to Markdown in a separate process, with limits."""
