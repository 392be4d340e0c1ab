"""Recordings of model calls: the file format, recording and replaying, and differences."""
