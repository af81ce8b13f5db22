"""Programming contests: programs are submitted until one is accepted or the budget is spent."""
