"""Parameters of calls in the dialect: commands, code, and operations on rows."""
