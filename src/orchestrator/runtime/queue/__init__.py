"""The slots of a run: which of the ready steps gets the next one, and when a step that has ended leaves its own."""
