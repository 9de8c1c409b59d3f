"""Conversion of third-party weights to Hugging Face folders, and export to the Hub."""
