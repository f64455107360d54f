"""The exceptions that mean "this is no defect": a single clear line, no traceback."""


class UserError(Exception):
    """Wrong input. The message is one line that says what is wrong, where, and what to do."""

    status = 1  # of a process that ends with it


class Terminated(UserError):
    """The process was asked to end, by default by SIGTERM (15), and has saved its work first."""

    def __init__(self, message: str, signal: int = 15):
        super().__init__(message)
        self.status = 128 + signal  # what a shell calls a process that the signal has ended
