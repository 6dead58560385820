"""What can be wrong with the record's file itself, before any call is served.

Errors of calls are in the one table of `protocol.errors`; these end the process that meets them.
"""


class SchemaTooNew(Exception):
    """The record was written by a newer version of Ropeway; start that version, or restore an older record."""


class RecordUnreadable(Exception):
    """The record can't be read: it is damaged, or not yours. Restore it from a backup, or start in another home."""


class RecordReadOnly(Exception):
    """The record can't be written: its file or its disk is read-only. Make it writable, or start in another home."""


class DatabaseClosed(Exception):
    """The record is closed: the daemon is stopping."""
