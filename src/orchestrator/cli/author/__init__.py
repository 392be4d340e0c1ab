"""Commands for writing and testing pipelines."""
