"""Training of the language part on evidence: composed examples, co-judged targets."""
