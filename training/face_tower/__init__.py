"""The face tower, trained on photographs."""
