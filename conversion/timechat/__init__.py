"""Conversion of the original checkpoints of TimeChat and Video-LLaMA."""
