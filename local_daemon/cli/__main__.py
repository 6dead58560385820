"""`python -m local_daemon.cli`: the same as `ropeway`."""

from local_daemon.cli import main

main.main()
