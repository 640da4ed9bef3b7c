-- On the wire the first three groups are little-endian: read naively, they arrive scrambled.
CREATE TABLE dbo.devices (id uniqueidentifier NOT NULL PRIMARY KEY, version rowversion NOT NULL, raw binary(4) NULL);
GO
INSERT INTO dbo.devices (id, raw) VALUES
    ('6F9619FF-8B86-D011-B42D-00C04FC964FF', 0x00FF10A0),
    ('00112233-4455-6677-8899-AABBCCDDEEFF', NULL);
