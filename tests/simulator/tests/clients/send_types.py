"""Prints what comes back of the parameters that a client sends, a line for each.

Usage: send_types.py pytds|mssql-python PORT USER PASSWORD DATABASE
"""

import datetime
import decimal
import sys
import uuid

# Nothing is left beside the scripts.
sys.dont_write_bytecode = True
from read_types import PATTERN, connect, rendered  # noqa: E402

MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 58, 997000)
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
VALUES = [
    True,
    255,
    -2147483648,
    -9223372036854775808,
    -0.5,
    1.79e308,
    decimal.Decimal("-1234.5678"),
    decimal.Decimal("9999999999999999999999999999.9999999999"),
    MOMENT.date(),
    MOMENT.time(),
    MOMENT,
    MOMENT.replace(tzinfo=EAST),
    "",
    "caf\u00e9 \U0001f600",
    PATTERN * 2000,
    b"",
    b"\x00\xff",
    (PATTERN * 2000).encode(),
    uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
    None,
]


def main():
    client = sys.argv[1]
    cursor = connect(*sys.argv[1:]).cursor()
    sql, binary = "SELECT ? AS v", bytes
    if client == "pytds":
        import pytds

        sql, binary = "SELECT %s AS v", pytds.Binary
    for value in VALUES:
        cursor.execute(sql, (binary(value) if isinstance(value, bytes) else value,))
        print(type(value).__name__, rendered(cursor.fetchall()[0][0]))


main()
