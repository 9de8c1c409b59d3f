"""Original checkpoints of TimeChat and Video-LLaMA."""
