"""YAML text to nodes with their place in the file, and back."""
