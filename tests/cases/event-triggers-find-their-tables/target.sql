-- A function that names a table without its schema.
CREATE TABLE ddl_log (at timestamptz DEFAULT now(), what text);
CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ddl_log (what) VALUES (tg_tag); END $$;
CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL);
CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION log_ddl();
CREATE EVENT TRIGGER log_drop ON sql_drop EXECUTE FUNCTION log_ddl();
