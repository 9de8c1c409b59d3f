"""Foreign weights in, Hugging Face folders out."""
