"""Text input and output: files read within limits, JSON and CSV text, and words for people."""
