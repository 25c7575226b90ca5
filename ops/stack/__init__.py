"""The running stack: MySQL, the API instances and nginx as processes of this machine."""
