"""The schema of `orchestrator.toml`: a model for each table, and a section for the tables that are read together.

The models know only the file. What else must hold, such as that a provider exists, is checked by the package that a
table belongs to, and reported together with what the schema refuses: see `ProjectFile.read`.
"""
