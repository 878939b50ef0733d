"""A user's own file, read with a card that says what its columns mean: whatever is wrong with it is handled and told."""
