CREATE TABLE events (at timestamp(3), what varchar(20)); INSERT INTO events VALUES (now(), 'old'); CREATE VIEW latest AS SELECT what FROM events
