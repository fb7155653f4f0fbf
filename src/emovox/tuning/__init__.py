"""Search for better settings, scored on validation speakers alone."""
