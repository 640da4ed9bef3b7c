"""What Python's clients make of errors, of statements that they cancel, and of the server's wish for encryption: a line for each.

Usage: dialogue.py pymssql|pytds errors|cancel|login PORT USER PASSWORD DATABASE [off|login|on CERTIFICATE]
"""

import sys

ERRORS = [
    "RAISERROR(N'Größe %', 16, 7)",
    "SELECT missing\nFROM dbo.kinds",
    "\nINSERT INTO dbo.plain (id)\nVALUES (1)",
    "INSERT INTO dbo.plain (t) VALUES (1)",
    "SELECT 1\nSELEKT 2",
    "\n\nIF 1 = 1\nBEGIN\n  SELECT 1 / 0\nEND",
]
TEN = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))"
MANY = "SELECT a.n, REPLICATE('x', 500) AS t FROM " + " CROSS JOIN ".join(f"{TEN} AS {name}(n)" for name in "abcdef")
WAIT = "WAITFOR DELAY '00:05:00'"
ENCRYPTED = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"


def told(*parts):
    print("error", "|".join(str(part) for part in parts))


class DbLibrary:
    """pymssql, which is db-lib of FreeTDS."""

    def __init__(self, port, user, password, database, limit=0):
        from pymssql import _mssql

        self.failure = _mssql.MSSQLDatabaseException
        # It waits before it says that a login was refused.
        self.connection = _mssql.connect(
            server="127.0.0.1", port=port, user=user, password=password, database=database, tds_version="7.4"
        )
        self.connection.query_timeout = limit

    def value(self, sql):
        return self.connection.execute_scalar(sql)

    def run(self, sql):
        self.connection.execute_query(sql)
        return list(self.connection)

    def begin(self, sql):
        self.connection.execute_query(sql)
        rows = iter(self.connection)
        return [next(rows) for _ in range(10)]

    def cancel(self):
        self.connection.cancel()

    def shown(self, failure):
        # The text ends with what db-lib says of it itself.
        text = failure.text.decode().split("DB-Lib error")[0].strip()
        return failure.number, failure.severity, failure.state, failure.line, text


class PythonTds:
    def __init__(self, port, user, password, database, limit=None, encryption="off", certificate=None):
        import pytds

        self.failure = pytds.tds_base.Error
        secure = {"off": {}, "login": {"enc_login_only": True}, "on": {}}[encryption]
        if encryption != "off":
            # It compares the host's name by a function that pyOpenSSL no longer has.
            secure |= {"cafile": certificate, "validate_host": False}
        self.connection = pytds.connect(
            "127.0.0.1",
            port=int(port),
            user=user,
            password=password,
            database=database,
            autocommit=True,
            timeout=limit,
            **secure,
        )
        self.cursor = self.connection.cursor()

    def value(self, sql):
        return self.run(sql)[0][0]

    def run(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchall()

    def begin(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchmany(10)

    def cancel(self):
        self.cursor.cancel()

    def shown(self, failure):
        return failure.number, failure.severity, failure.state, failure.line, failure.text


def errors(client, _):
    for sql in ERRORS:
        try:
            print("rows", len(client.run(sql)))
        except client.failure as failure:
            told(*client.shown(failure))
    print("goes on", client.value("SELECT 7 AS seven"))


def cancel(client, kind):
    print("begun", len(client.begin(MANY)))
    client.cancel()
    print("goes on", client.value("SELECT 7 AS seven"))
    limited = kind(*sys.argv[3:7], limit=1)
    try:
        limited.run(WAIT)
        print("waited")
    except Exception as failure:  # each client has a class of its own for it
        print("gave up", type(failure).__name__)
    if kind is PythonTds:
        limited.cursor = limited.connection.cursor()
        print("goes on", limited.value("SELECT 7 AS seven"))


def main():
    name, task, *place = sys.argv[1:]
    kind = {"pymssql": DbLibrary, "pytds": PythonTds}[name]
    if task == "login":
        try:
            encryption, certificate = [*place[4:], "off", None][:2]
            client = kind(*place[:4], encryption=encryption, certificate=certificate)
            print("encrypted", client.value(ENCRYPTED))
        except Exception as failure:
            print("refused", type(failure).__name__, str(failure).splitlines()[0])
        return
    {"errors": errors, "cancel": cancel}[task](kind(*place[:4]), kind)


main()
