"""Training of the face tower on photographs."""
