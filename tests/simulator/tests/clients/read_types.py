"""Reads dbo.types through one client and prints a line for each value: `row.column repr`."""

import sys

client, port, user, password = sys.argv[1:5]
if client == "pymssql":
    import pymssql

    connection = pymssql.connect(server="127.0.0.1", port=int(port), user=user, password=password, database="clients")
else:
    import pytds

    connection = pytds.connect(dsn="127.0.0.1", port=int(port), user=user, password=password, database="clients")

cursor = connection.cursor()
cursor.execute("SELECT * FROM dbo.types ORDER BY id")
names = [column[0] for column in cursor.description]
for number, row in enumerate(cursor.fetchall()):
    for name, value in zip(names, row):
        if isinstance(value, (str, bytes)) and len(value) > 100:
            value = f"{len(value)} of {value[:1]!r}"
        # Clients have offset classes of their own; the text is the same.
        shown = value.isoformat() if hasattr(value, "tzinfo") and value.tzinfo else repr(value)
        print(f"{number}.{name} {shown}")
connection.close()
