"""Clips with known truth, made from photographs."""
