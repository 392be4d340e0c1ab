"""Notifies the readers of runs: of this process by its commits, of other processes by one poller for all readers."""
