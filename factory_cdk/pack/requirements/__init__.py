"""What a bot requires, found by reading and locked with uv."""
