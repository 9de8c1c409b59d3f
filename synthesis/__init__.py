"""Synthetic clips with exact ground truth, made from photographs."""
