"""Draws charts of rows: their values become a Vega-Lite specification, which a separate process draws."""
