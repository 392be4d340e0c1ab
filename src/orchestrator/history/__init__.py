"""What can be read from a journal alone."""
