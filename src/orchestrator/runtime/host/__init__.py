"""The host of many runs: starting and resuming them, leases, commands, batches, readers."""
