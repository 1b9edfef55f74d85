"""Many documents in one go."""
