"""One module for each kind of step that is more than a tool call."""
