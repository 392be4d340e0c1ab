"""The models of a pipeline file: its parts, their keys and types, and the kinds of steps."""
