"""Frames and sound of a synthetic clip."""
