CREATE TABLE events (at datetime(3), what varchar(20)); INSERT INTO events VALUES (NOW(), 'old'); CREATE TRIGGER noted AFTER DELETE ON events FOR EACH ROW SET @gone = OLD.what
