"""nginx: configuration, and a server of our own."""
