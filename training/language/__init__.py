"""Training data of the language part: composed examples with evidence and targets."""
