"""The passes over a file: its names, its blocks of steps and the order in them, calls, models, types."""
