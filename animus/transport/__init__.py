"""The authenticated session: bearer with origin check, one loop that repeats, deadlines."""
