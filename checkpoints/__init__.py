"""Weights trained by this project."""
