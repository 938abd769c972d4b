"""Small things that everything else may use."""
