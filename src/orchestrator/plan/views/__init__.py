"""Pictures of a plan: its graph, a layout, SVG and Mermaid."""
