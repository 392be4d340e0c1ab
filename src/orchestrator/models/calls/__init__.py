"""Calls of models by the steps of a run: estimates, budgets, and what is kept of answers."""
