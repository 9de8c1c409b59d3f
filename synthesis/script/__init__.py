"""What happens in a synthetic clip, and its truth."""
