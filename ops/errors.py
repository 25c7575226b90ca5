"""The exception of the operator's commands."""


class OperatorError(Exception):
    """A problem that the operator can solve; the message says what happened and what to do."""
