"""The checks of a running stack that `doctor` makes."""
