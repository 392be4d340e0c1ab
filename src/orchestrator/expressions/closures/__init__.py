"""Compiles the syntax trees of templates to closures."""
