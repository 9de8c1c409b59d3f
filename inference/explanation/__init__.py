"""Explanations: on the video's clock, each sentence checked against the evidence."""
