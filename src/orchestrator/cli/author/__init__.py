"""Commands that write, check, explain and test pipelines."""
