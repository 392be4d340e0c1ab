"""The passes over a file: declarations, blocks of steps, dependencies, calls, models, types."""
