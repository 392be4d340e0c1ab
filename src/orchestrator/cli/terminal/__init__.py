"""What a terminal shows: output, progress, prompts, interrupts."""
