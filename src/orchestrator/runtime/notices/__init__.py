"""The notices of a run: what they say, when they are recorded, and when they are sent."""
