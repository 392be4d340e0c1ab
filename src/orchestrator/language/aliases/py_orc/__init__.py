"""The dialect of py-orc: its forms as data, and the rewriting of a file that uses them into the canonical form."""
