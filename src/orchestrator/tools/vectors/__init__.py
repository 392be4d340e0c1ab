"""Collections of vectors: documents cut into chunks, kept in a file of the project or in PostgreSQL, and searched."""
