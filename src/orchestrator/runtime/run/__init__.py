"""One run: the scheduler, attempts, and the life cycle of its steps."""
