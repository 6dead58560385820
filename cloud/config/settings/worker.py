"""The django-q2 worker, and commands that end soon: as the installation's other processes, without a connection pool.

A pool's threads do not survive the worker's forks: tasks lose their results and the cluster goes deaf to SIGTERM. Which
installation it is, ROPEWAY_SETTINGS says: `local` (default) or `production`.
"""

import importlib
import os

_base = importlib.import_module(f"cloud.config.settings.{os.environ.get('ROPEWAY_SETTINGS', 'local')}")
globals().update({name: value for name, value in vars(_base).items() if name.isupper()})

DATABASES = {
    alias: {
        **database,
        "CONN_MAX_AGE": 60,
        "OPTIONS": {name: value for name, value in database["OPTIONS"].items() if name != "pool"},
    }
    for alias, database in _base.DATABASES.items()
}
