"""The plan: what a checked pipeline will do, as immutable data."""
