"""Tables: rows in files, their column types, and transformations by SQL."""
