"""The static types of expressions: what a template's value can be, and whether it fits."""
