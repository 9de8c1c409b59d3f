"""Frames and audio of synthetic clips."""
