"""Reads videos and creates the model's input tensors."""
