WITH d AS (INSERT INTO down (v) VALUES (99) RETURNING id), t AS (INSERT INTO by_ten (v) VALUES (99) RETURNING id)
SELECT d.id, t.id, (SELECT max(id) FROM big_dec) FROM d, t
