"""A photograph becomes a face that moves."""
