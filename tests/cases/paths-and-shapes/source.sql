-- hierarchyid by its path; shapes as extended well-known text, with their SRID.
CREATE TABLE dbo.places (id int NOT NULL PRIMARY KEY, node hierarchyid NULL, spot geography NULL, outline geometry NULL, note xml NULL);
GO
INSERT INTO dbo.places (id, node, spot, outline, note) VALUES
    (1, CAST('/' AS hierarchyid), geography::STGeomFromText('POINT (13.25 52.5)', 4326), geometry::STGeomFromText('LINESTRING (0 0, 1 1.5)', 0), CAST(N'<a b="ü"><c/></a>' AS xml)),
    (2, CAST('/1/20/3/' AS hierarchyid), NULL, NULL, NULL),
    (3, NULL, NULL, NULL, NULL);
