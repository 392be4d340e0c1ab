"""The queries of the store: runs and their statuses, events, batches and spending."""
