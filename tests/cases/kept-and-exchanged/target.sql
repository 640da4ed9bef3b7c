CREATE TABLE seats (id integer NOT NULL PRIMARY KEY, seat integer NOT NULL CONSTRAINT uq_seat UNIQUE); INSERT INTO seats VALUES (1, 10), (2, 20), (4, 30); CREATE VIEW taken AS SELECT seat FROM seats
