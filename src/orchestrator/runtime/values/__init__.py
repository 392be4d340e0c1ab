"""The values of a run: its inputs and secrets, what expressions read, and how large a result may be."""
