-- Ranges of a nullable key must not lose the rows without one.
CREATE TABLE dbo.visits (visitor int NULL, place varchar(20) NOT NULL);
CREATE UNIQUE INDEX ux_visits ON dbo.visits (visitor, place);
GO
INSERT INTO dbo.visits (visitor, place) VALUES (NULL, 'gate'), (NULL, 'shop'), (-2147483648, 'gate'), (0, 'gate'), (2147483647, 'gate');
