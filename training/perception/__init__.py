"""Training of the perception heads: expressions, micro-expressions, voice emotions."""
