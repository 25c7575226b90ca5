"""MySQL: schema, settings, and a server of our own."""
