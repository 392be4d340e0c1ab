"""Options and arguments that several commands share, and the errors of a wrong command line."""
