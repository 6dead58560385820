"""What a client of the daemon can meet besides the error table's errors, which the daemon itself answers with."""


class DaemonUnreachable(Exception):
    """No daemon answers for this home; start it with `ropeway daemon`."""


class ContentDamaged(Exception):
    """What came is not what its digest says: don't use it. `ropeway verify` looks at the record itself."""
