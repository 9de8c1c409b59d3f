"""What each objective learns from an example."""
