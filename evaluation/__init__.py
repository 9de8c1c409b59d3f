"""Metrics of open-vocabulary emotion recognition and micro-expression spotting."""
