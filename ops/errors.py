"""The one exception of the operator's commands."""


class OperatorError(Exception):
    """Something the operator can mend; the message says what it is and the way out."""
