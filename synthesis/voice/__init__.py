"""Emotional speech and room acoustics."""
