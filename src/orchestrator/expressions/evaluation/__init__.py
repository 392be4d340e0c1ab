"""Compiles syntax trees into closures and evaluates them."""
