"""The JSON Schema for editors and the reference pages, generated from the specs."""
