-- The instant is kept whatever the machine's zone; the offset too, where the job file asks for it. Wall clocks are not shifted.
CREATE TABLE dbo.departures (
    id int NOT NULL PRIMARY KEY,
    at datetimeoffset(7) NULL,
    short datetimeoffset(0) NULL,
    wall datetime2(3) NULL,
    old smalldatetime NULL
);
GO
INSERT INTO dbo.departures (id, at, short, wall, old) VALUES
    (1, '2024-03-31T02:30:00.1234567+02:00', '2024-03-31T02:30:00+05:30', '2024-03-31T02:30:00.125', '2024-03-31T02:30:00'),
    (2, '0001-01-01T00:00:00.0000000+00:00', '9999-12-31T23:59:59+00:00', '0001-01-01T00:00:00.000', '1900-01-01T00:00:00'),
    (3, '2000-02-29T23:59:59.9999999-14:00', '2000-02-29T00:00:00+14:00', '9999-12-31T23:59:59.999', '2079-06-06T23:59:00'),
    (4, NULL, NULL, NULL, NULL);
