-- Two rows exchange a unique value while the table must be updated in place: neither update may trip over the other.
CREATE TABLE dbo.seats (id int NOT NULL PRIMARY KEY, seat int NOT NULL, CONSTRAINT uq_seat UNIQUE (seat));
GO
INSERT INTO dbo.seats (id, seat) VALUES (1, 20), (2, 10), (3, 30);
