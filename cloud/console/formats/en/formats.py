"""How pages write moments: sorted by eye, narrow enough for a column, by the clocks of the
organization that one looks at (`middleware`). Named by the settings."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
SHORT_DATE_FORMAT = DATE_FORMAT
