"""Readers of data sets as their owners hand them out."""
