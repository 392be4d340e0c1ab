"""`<AUTO>` values: where they may stand, the steps that fill them, and the lock file."""
