"""Models of every provider behind one interface: what is said, who answers, what it costs."""
