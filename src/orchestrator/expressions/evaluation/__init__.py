"""Evaluates templates: the values that they see, their operations, and the text of a value."""
