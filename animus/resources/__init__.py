"""One API area each: from typed arguments to typed answers."""
