"""Labelled examples, readers of data sets, emotion labels and wheels, and cached clips."""
