"""The token value, reading a provider's answer, and the windows of a token's life."""
