"""Folds over events: the status of a run, the history of its steps, and the state to resume from."""
