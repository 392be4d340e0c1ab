"""What can be read from a journal alone: results, step trees, reasons, and what a changed run keeps."""
