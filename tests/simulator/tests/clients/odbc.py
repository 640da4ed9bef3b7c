"""What Microsoft's ODBC driver, which the package mssql-python carries, makes of errors, of statements that are cancelled, and of encryption.

A line for each error (SQLSTATE, number, message) or answer. The package hides numbers and cannot cancel, so the driver is called itself.

Usage: odbc.py login|errors|cancel no|yes|verify|strict PORT USER PASSWORD DATABASE CERTIFICATE
"""

import ctypes
import re
import sys
import threading
from pathlib import Path

import mssql_python_odbc
from mssql_python import ddbc_bindings

SUCCESS, WITH_INFO, NO_DATA = 0, 1, 100
ENVIRONMENT, CONNECTION, STATEMENT = 1, 2, 3
ODBC_VERSION, ODBC_3_80 = 200, 380
QUERY_TIMEOUT = 0
NULL_TERMINATED = -3
CHARACTERS = 1

TEN = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))"
MANY = "SELECT a.n, REPLICATE('x', 500) AS t FROM " + " CROSS JOIN ".join(f"{TEN} AS {name}(n)" for name in "abcdef")
WAIT = "WAITFOR DELAY '00:05:00'"


ODBC = ctypes.CDLL(ddbc_bindings.GetDriverPathCpp(str(Path(mssql_python_odbc.get_libs_dir()).parent)))


def wide(text):
    return ctypes.create_string_buffer(text.encode("utf-16-le") + b"\0\0")


def allocate(kind, parent):
    handle = ctypes.c_void_p()
    assert ODBC.SQLAllocHandle(ctypes.c_short(kind), parent, ctypes.byref(handle)) == SUCCESS
    return handle


def diagnoses(kind, handle):
    """SQLSTATE, the server's number, and what it said, without the names of driver and server that come first."""
    for place in range(1, 100):
        state, number = ctypes.create_string_buffer(12), ctypes.c_int()
        text, length = ctypes.create_string_buffer(4096), ctypes.c_short()
        result = ODBC.SQLGetDiagRecW(
            ctypes.c_short(kind),
            handle,
            ctypes.c_short(place),
            state,
            ctypes.byref(number),
            text,
            ctypes.c_short(2000),
            ctypes.byref(length),
        )
        if result not in (SUCCESS, WITH_INFO):
            return
        said = text.raw[: 2 * length.value].decode("utf-16-le")
        yield state.raw[:10].decode("utf-16-le"), number.value, re.sub(r"^(\[[^]]*\])+", "", said)


def told(kind, handle, word="error"):
    for state, number, said in diagnoses(kind, handle):
        print(f"{word} {state}|{number}|{said}")


class Statement:
    def __init__(self, connection):
        self.handle = allocate(STATEMENT, connection)

    def run(self, sql):
        """Executes a batch to its end and prints its errors, messages and how it ended."""
        result = ODBC.SQLExecDirectW(self.handle, wide(sql), ctypes.c_int(NULL_TERMINATED))
        while result in (SUCCESS, WITH_INFO):
            if result == WITH_INFO:
                told(STATEMENT, self.handle, "info")
            columns = ctypes.c_short()
            ODBC.SQLNumResultCols(self.handle, ctypes.byref(columns))
            rows = 0
            while columns.value and (result := ODBC.SQLFetch(self.handle)) in (SUCCESS, WITH_INFO):
                rows += 1
            if columns.value and result != NO_DATA:
                break
            if columns.value:
                print(f"rows {rows}")
            result = ODBC.SQLMoreResults(self.handle)
        if result == NO_DATA:
            print("done")
        else:
            told(STATEMENT, self.handle)
        ODBC.SQLFreeStmt(self.handle, ctypes.c_short(0))

    def limit(self, seconds):
        ODBC.SQLSetStmtAttrW(self.handle, ctypes.c_int(QUERY_TIMEOUT), ctypes.c_void_p(seconds), ctypes.c_int(0))


# The driver trusts this very certificate where encryption is strict; elsewhere it trusts any or none.
SECURITY = {
    "no": "Encrypt=no",
    "yes": "Encrypt=yes;TrustServerCertificate=yes",
    "verify": "Encrypt=yes",
    "strict": "Encrypt=strict;ServerCertificate=",
}


def connect(encrypt, port, user, password, database, certificate):
    environment = allocate(ENVIRONMENT, None)
    ODBC.SQLSetEnvAttr(environment, ctypes.c_int(ODBC_VERSION), ctypes.c_void_p(ODBC_3_80), ctypes.c_int(0))
    connection = allocate(CONNECTION, environment)
    text = f"SERVER=127.0.0.1,{port};DATABASE={database};UID={user};PWD={password};{SECURITY[encrypt]}"
    text += certificate if encrypt == "strict" else ""
    result = ODBC.SQLDriverConnectW(
        connection, None, wide(text), ctypes.c_short(NULL_TERMINATED), None, ctypes.c_short(0), None, ctypes.c_ushort(0)
    )
    if result in (SUCCESS, WITH_INFO):
        return connection
    told(CONNECTION, connection)
    return None


def errors(connection):
    for sql in [
        "RAISERROR(N'Größe %', 16, 7)",
        "RAISERROR(N'only told', 10, 3)",
        "SELECT 1 AS one\n\nSELECT missing\nFROM dbo.kinds",
        "\nINSERT INTO dbo.plain (id)\nVALUES (1)",
        "INSERT INTO dbo.plain (t) VALUES (1)",
        "SELECT 1\nSELEKT 2",
        "SELECT 1 / 0",
        "SELECT CAST(300 AS tinyint)",
        "SELECT CAST(N'x' AS int)",
        "SELECT n FROM dbo.nowhere",
    ]:
        Statement(connection).run(sql)


def cancel(connection):
    statement = Statement(connection)
    threading.Timer(0.3, lambda: ODBC.SQLCancel(statement.handle)).start()
    statement.run(WAIT)
    limited = Statement(connection)
    limited.limit(1)
    limited.run(WAIT)
    left = Statement(connection)
    ODBC.SQLExecDirectW(left.handle, wide(MANY), ctypes.c_int(NULL_TERMINATED))
    print("begun" if ODBC.SQLFetch(left.handle) == SUCCESS else "no row")
    ODBC.SQLFreeStmt(left.handle, ctypes.c_short(0))
    Statement(connection).run("SELECT 7 AS seven")


def encryption(connection):
    statement = Statement(connection)
    sql = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"
    ODBC.SQLExecDirectW(statement.handle, wide(sql), ctypes.c_int(NULL_TERMINATED))
    ODBC.SQLFetch(statement.handle)
    value, length = ctypes.create_string_buffer(40), ctypes.c_long()
    ODBC.SQLGetData(statement.handle, 1, ctypes.c_short(CHARACTERS), value, ctypes.c_long(40), ctypes.byref(length))
    print(f"encrypted {value.value.decode()}")


def main():
    task, *place = sys.argv[1:]
    connection = connect(*place)
    if connection:
        {"login": encryption, "errors": errors, "cancel": cancel}[task](connection)


main()
