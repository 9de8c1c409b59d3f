"""Values and readers that other rooms share: the emotion wheel."""
