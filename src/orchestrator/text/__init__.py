"""Text in and out: files read within bounds, JSON and CSV text, and words for people."""
