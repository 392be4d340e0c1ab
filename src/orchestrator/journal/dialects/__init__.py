"""The databases that a store can be in: one module each, with one interface."""
