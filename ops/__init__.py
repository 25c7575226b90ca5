"""The operator's commands behind ./rinha."""
