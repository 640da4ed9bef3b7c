"""Prints what a client reads of dbo.kinds, a line for each value: row, column, value.

Usage: read_types.py pymssql|pytds|mssql-python|mssql-python-encrypted PORT USER PASSWORD DATABASE
"""

import datetime
import decimal
import sys

PATTERN = "abcdefg"


def connect(client, port, user, password, database):
    if client == "pymssql":
        import pymssql

        return pymssql.connect(
            server="127.0.0.1", port=port, user=user, password=password, database=database, tds_version="7.4"
        )
    if client.startswith("mssql-python"):
        import mssql_python

        encrypt = "yes" if client.endswith("encrypted") else "no"
        return mssql_python.connect(
            f"SERVER=127.0.0.1,{port};DATABASE={database};UID={user};PWD={password};"
            f"Encrypt={encrypt};TrustServerCertificate=yes;"
        )
    import pytds

    return pytds.connect("127.0.0.1", port=int(port), user=user, password=password, database=database)


def rendered(value):
    if isinstance(value, (str, bytes)) and len(value) > 100:
        pattern = PATTERN if isinstance(value, str) else PATTERN.encode()
        # Every position is compared, so that a chunk lost, doubled or moved shows.
        whole = (pattern * (len(value) // len(pattern) + 1))[: len(value)] == value
        return f"{type(value).__name__} {len(value)} {'as written' if whole else 'MANGLED'}"
    if isinstance(value, (datetime.datetime, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (str, bytes)):
        return ascii(value)
    return str(value)


def main():
    cursor = connect(*sys.argv[1:]).cursor()
    # The number is the server's own reading of the bytes that the client gets.
    cursor.execute("SELECT *, CAST(c_rowversion AS bigint) AS number FROM dbo.kinds ORDER BY id")
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        values = dict(zip(names, row))
        number = values.pop("number")
        stamp = values.pop("c_rowversion")
        same = len(stamp) == 8 and int.from_bytes(stamp, "big") == number
        values["c_rowversion"] = "as the server says" if same else f"{stamp!r}, not {number}"
        identity = values.pop("id")
        for name, value in values.items():
            text = value if name == "c_rowversion" else rendered(value)
            print(f"{identity} {name} {text}")


if __name__ == "__main__":
    main()
