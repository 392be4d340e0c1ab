"""The scalar notations of the language: times, templates and `<AUTO>` markup."""
