"""Low HTTP: adapter, time limits, sorting failures, backoff, Retry-After, reading bodies."""
