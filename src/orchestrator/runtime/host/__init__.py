"""The host of many runs: their start, leases, batches and shared resources."""
