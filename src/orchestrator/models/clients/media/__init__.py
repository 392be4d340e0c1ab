"""The protocols in which providers make pictures, speech and transcripts. Imported with the first call."""
