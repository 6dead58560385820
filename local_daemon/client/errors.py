"""What a client of the daemon can meet besides the error table's errors, which the daemon itself answers with."""


class DaemonUnreachable(Exception):
    """No daemon answers for this home; start it with `ropeway daemon`."""
