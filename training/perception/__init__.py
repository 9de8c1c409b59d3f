"""The perception heads: expressions, micro-expressions, voices."""
