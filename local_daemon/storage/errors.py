"""What can be wrong with the record's file itself, before any call is served.

Errors of calls are in the one table of `protocol.errors`; these end the process that meets them.
"""


class SchemaTooNew(Exception):
    """The record was written by a newer version of Ropeway; start that version, or restore an older record."""


class DatabaseClosed(Exception):
    """The record is closed: the daemon is stopping."""
