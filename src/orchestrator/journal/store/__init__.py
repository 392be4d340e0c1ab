"""The store of runs: its tables and every query."""
