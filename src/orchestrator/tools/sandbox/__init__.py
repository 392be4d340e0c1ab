"""What tools may touch, and how files, programs and networks are reached within it."""
