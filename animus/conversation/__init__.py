"""Conversations: history, one call, exchanges with turns, images and follow-ups."""
