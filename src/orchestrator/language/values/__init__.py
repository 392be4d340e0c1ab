"""The scalar notations of the language: durations, times, templates and `<AUTO>` markup."""
