"""The structure of a pipeline file: the models of its parts, how they are read, and what they refuse."""
