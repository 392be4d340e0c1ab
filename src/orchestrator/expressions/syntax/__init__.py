"""From template text to a syntax tree, with every problem at its place."""
