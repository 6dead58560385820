from psycopg import conninfo

from cloud.config import database_url


def test_a_url_becomes_django_settings_and_its_parameters_options() -> None:
    url = "postgresql://app:pa%20ss@db.example:6432/ropeway?sslmode=require"
    database = database_url.database_from_url(url, CONN_MAX_AGE=60, OPTIONS={"pool": {"max_size": 4}})
    assert database == {
        "ENGINE": "cloud.tenancy.backend",
        "NAME": "ropeway",
        "USER": "app",
        "PASSWORD": "pa ss",
        "HOST": "db.example",
        "PORT": "6432",
        "OPTIONS": {"sslmode": "require", "pool": {"max_size": 4}},
        "CONN_MAX_AGE": 60,
    }


def test_a_listening_connection_goes_to_the_same_place() -> None:
    url = "postgresql://app@/ropeway?host=/run/socket&port=5433&sslmode=disable"
    database = database_url.database_from_url(url, OPTIONS={"pool": {"max_size": 4}})
    found = conninfo.conninfo_to_dict(database_url.url_from_database(database))
    assert found == {"dbname": "ropeway", "user": "app", "host": "/run/socket", "port": "5433", "sslmode": "disable"}
