"""Search for better settings, scored on validation clips only."""
