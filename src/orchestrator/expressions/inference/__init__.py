"""Infers the types of templates, and finds what is sure to fail when they are evaluated."""
