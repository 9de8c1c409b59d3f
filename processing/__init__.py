"""Reads videos and makes the tensors of the model out of them."""
