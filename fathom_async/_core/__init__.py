"""One request from call to answer, and all that it passes but admission."""
