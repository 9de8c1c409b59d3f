"""Metrics: pure functions of labels, scores and times."""
