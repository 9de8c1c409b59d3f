"""Explanations: times on the video's clock, and sentences checked against the evidence."""
