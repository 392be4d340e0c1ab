"""What a terminal shows: output, the live table, prompts, interrupts."""
