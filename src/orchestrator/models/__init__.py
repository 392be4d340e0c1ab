"""Models of every provider behind one interface: messages, clients, selection, limits and costs."""
