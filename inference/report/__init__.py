"""The report of an analysis: its values, its schema, and the formats it is written in."""
