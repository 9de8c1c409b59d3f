"""Assembly of microemo-mini from public packages and the trained weights of this package."""
