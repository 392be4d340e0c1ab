"""Folds over events: the state of a run, its status, step history and what a resume needs."""
