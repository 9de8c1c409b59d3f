"""Animation of a face photograph."""
