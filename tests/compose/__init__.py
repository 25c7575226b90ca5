"""compose.yaml and the Containerfile: on paper, and for real where there are containers."""
