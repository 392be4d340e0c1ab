"""Workers: processes that execute the runs which are submitted to a store."""
