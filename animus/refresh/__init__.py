"""One valid token for all threads: single flight, and the manager."""
