"""Questions about a report: what code can count is counted, the rest is asked of the model."""
