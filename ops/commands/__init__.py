"""The commands of ./rinha: each module has `add_arguments(parser)` and `run(arguments)`, which returns the status."""
