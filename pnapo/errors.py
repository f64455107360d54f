"""The one exception that means "the user can mend this": a single clear line, no traceback."""


class UserError(Exception):
    """Wrong input. The message is one line that says what is wrong, where, and what to do."""
