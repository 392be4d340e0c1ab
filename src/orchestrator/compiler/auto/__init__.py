"""`<AUTO>` values: where they are allowed, the steps that ask models for them, and the lock file."""
