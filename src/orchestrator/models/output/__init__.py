"""Structured output: the schema of an answer, its short form, and reading an answer by it."""
