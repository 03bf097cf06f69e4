"""Where tokens rest."""
