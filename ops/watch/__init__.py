"""What a running stack does: its requests, its processes, its database, its logs."""
