"""The scalar notations of the language: durations, times, `<AUTO>` markup, and values of inputs."""
