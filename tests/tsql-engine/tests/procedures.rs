//! System procedures that define something.

mod support;

use support::{error, lines, run, server, session};

#[test]
fn sp_addtype_makes_the_alias_types_of_old_schemas() {
    let server = server();
    let mut session = session(&server);
    for statement in [
        "EXEC sp_addtype N'id', N'varchar(11)', N'NOT NULL'",
        "execute sp_addtype tid, 'varchar(6)', 'NOT NULL'",
        "EXEC dbo.sp_addtype @nulltype = 'NONULL', @phystype = 'char(9)', @typename = empid",
        "EXEC sp_addtype price, money",
        "EXEC sp_addtype flag, 'bit'",
        "EXEC sp_addtype picture, image, 'NULL'",
    ] {
        run(&mut session, statement);
    }
    let types = "SELECT name, max_length, is_nullable FROM sys.types WHERE is_user_defined = 1 ORDER BY user_type_id";
    assert_eq!(
        lines(&mut session, types),
        ["id|11|0", "tid|6|0", "empid|9|0", "price|8|1", "flag|1|0", "picture|16|1"]
    );
    run(&mut session, "CREATE TABLE dbo.titles (title_id tid CONSTRAINT pk PRIMARY KEY, au_id id, price price)");
    let columns = "SELECT c.name, TYPE_NAME(c.user_type_id), TYPE_NAME(c.system_type_id), c.max_length, c.is_nullable \
                   FROM sys.columns c WHERE c.object_id = OBJECT_ID(N'dbo.titles') ORDER BY c.column_id";
    assert_eq!(
        lines(&mut session, columns),
        ["title_id|tid|varchar|6|0", "au_id|id|varchar|11|0", "price|price|money|8|1"]
    );
    for (statement, number) in [
        ("EXEC sp_addtype 'id', 'int'", 219),
        ("CREATE TYPE dbo.ID FROM int", 219),
        ("EXEC sp_addtype 'moment', 'datetime2'", 15036),
        ("EXEC sp_addtype 'other', 'int', 'MAYBE'", 15085),
        ("EXEC sp_addtype 'other'", 201),
        ("EXEC sp_addtype 'a', 'int', 'NULL', 'dbo', 'more'", 8144),
    ] {
        assert_eq!(error(&mut session, statement), number, "{statement}");
    }
}
