"""Labels by several judges: votes, agreement, what is kept, and the review of the rest by a person."""
