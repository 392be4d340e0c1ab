"""Commands that start runs, and what shows a run in the foreground."""
