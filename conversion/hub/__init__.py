"""Folders for the Hub: code, card and weights."""
