"""Streamed answers: bytes to events to messages."""
