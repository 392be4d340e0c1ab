"""One module for each family of diagnostics, named after what it finds."""
