-- Functions that name tables without a schema; one trigger waits for the COMMIT.
CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL);
INSERT INTO items VALUES (1, 'old');
CREATE TABLE audit_log (at timestamptz DEFAULT now(), what text);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit_log (what) VALUES (tg_table_name || ' ' || tg_op); RETURN NULL; END $$;
CREATE TRIGGER log_it AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE TABLE kinds (kind text PRIMARY KEY);
INSERT INTO kinds VALUES ('x');
CREATE FUNCTION known_kind(k text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT EXISTS (SELECT FROM kinds WHERE kind = k) $$;
CREATE TABLE checked (id int PRIMARY KEY, kind varchar(20) NOT NULL CHECK (known_kind(kind)));
CREATE TABLE late (id int PRIMARY KEY);
CREATE CONSTRAINT TRIGGER log_late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_it();
-- No operator of somebody else's may decide which rows are the same.
CREATE FUNCTION never(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT false $$;
CREATE OPERATOR = (LEFTARG = int, RIGHTARG = int, FUNCTION = never);
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$;
