"""What is known of the files of a compilation: data that passes, steps and rules read and fill in."""
