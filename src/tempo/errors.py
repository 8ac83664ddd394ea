"""The errors that a user can mend.

Whatever goes wrong because of something given from outside (a file, an option, a checkpoint) is raised as one
of these. The message is a single line that names the file or the option and says what to do; the command line
prints it behind ``tempo:`` and nothing else. Any other exception is a fault in tempo itself.
"""


class TempoError(Exception):
    """Something outside tempo is wrong and the user can mend it. The command line exits with status 1."""


class UsageError(TempoError, ValueError):
    """An option or an argument has a value that can never work. The command line exits with status 2.

    It is a :class:`ValueError` too, so that Python callers can catch it as they would from any other library.
    """
