"""Renders Markdown as pages, and PDF files and Word documents in a separate process."""
