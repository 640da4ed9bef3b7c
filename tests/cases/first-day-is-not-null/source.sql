-- Peers turn 0001-01-01 into NULL; the last instant overflows when rounded to microseconds.
CREATE TABLE dbo.calendar (
    id int NOT NULL CONSTRAINT pk_calendar PRIMARY KEY,
    d date NULL,
    dt2 datetime2(7) NULL,
    dt datetime NULL,
    t time(7) NULL
);
GO
INSERT INTO dbo.calendar (id, d, dt2, dt, t) VALUES
    (1, '0001-01-01', '0001-01-01T00:00:00.0000000', '1753-01-01T00:00:00.000', '00:00:00.0000000'),
    (2, '9999-12-31', '9999-12-31T23:59:59.9999999', '9999-12-31T23:59:59.997', '23:59:59.9999999'),
    (3, NULL, NULL, NULL, NULL),
    (4, '2024-02-29', '2024-02-29T12:34:56.1234567', '2024-02-29T12:34:56.123', '12:34:56.7654321');
