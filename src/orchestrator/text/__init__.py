"""Text input and output: files read within limits, JSON and CSV text, durations and hosts, and words for people."""
