"""What crosses the wire, as typed values."""
