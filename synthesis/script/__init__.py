"""Random scenarios of synthetic clips, and their ground truth."""
