"""Tables: rows in files, column types, and SQL transformations."""
