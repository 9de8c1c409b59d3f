"""Export of models for the Hub: code, model card and weights."""
