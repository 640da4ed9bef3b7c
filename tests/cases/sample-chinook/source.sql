-- The shape of a music shop: Pascal case, identities, foreign keys in every direction (one to its own table), a table that links two.
CREATE TABLE [dbo].[Artist] ([ArtistId] INT NOT NULL IDENTITY, [Name] NVARCHAR(120), CONSTRAINT [PK_Artist] PRIMARY KEY CLUSTERED ([ArtistId]));
CREATE TABLE [dbo].[Album] ([AlbumId] INT NOT NULL IDENTITY, [Title] NVARCHAR(160) NOT NULL, [ArtistId] INT NOT NULL, CONSTRAINT [PK_Album] PRIMARY KEY CLUSTERED ([AlbumId]));
CREATE TABLE [dbo].[Genre] ([GenreId] INT NOT NULL IDENTITY, [Name] NVARCHAR(120), CONSTRAINT [PK_Genre] PRIMARY KEY CLUSTERED ([GenreId]));
CREATE TABLE [dbo].[MediaType] ([MediaTypeId] INT NOT NULL IDENTITY, [Name] NVARCHAR(120), CONSTRAINT [PK_MediaType] PRIMARY KEY CLUSTERED ([MediaTypeId]));
CREATE TABLE [dbo].[Track] (
    [TrackId] INT NOT NULL IDENTITY,
    [Name] NVARCHAR(200) NOT NULL,
    [AlbumId] INT,
    [MediaTypeId] INT NOT NULL,
    [GenreId] INT,
    [Composer] NVARCHAR(220),
    [Milliseconds] INT NOT NULL,
    [Bytes] INT,
    [UnitPrice] NUMERIC(10,2) NOT NULL,
    CONSTRAINT [PK_Track] PRIMARY KEY CLUSTERED ([TrackId])
);
CREATE TABLE [dbo].[Employee] (
    [EmployeeId] INT NOT NULL IDENTITY,
    [LastName] NVARCHAR(20) NOT NULL,
    [FirstName] NVARCHAR(20) NOT NULL,
    [ReportsTo] INT,
    [BirthDate] DATETIME,
    [HireDate] DATETIME,
    [Email] NVARCHAR(60),
    CONSTRAINT [PK_Employee] PRIMARY KEY CLUSTERED ([EmployeeId])
);
CREATE TABLE [dbo].[Customer] (
    [CustomerId] INT NOT NULL IDENTITY,
    [FirstName] NVARCHAR(40) NOT NULL,
    [LastName] NVARCHAR(20) NOT NULL,
    [Company] NVARCHAR(80),
    [City] NVARCHAR(40),
    [PostalCode] NVARCHAR(10),
    [Email] NVARCHAR(60) NOT NULL,
    [SupportRepId] INT,
    CONSTRAINT [PK_Customer] PRIMARY KEY CLUSTERED ([CustomerId])
);
CREATE TABLE [dbo].[Invoice] (
    [InvoiceId] INT NOT NULL IDENTITY,
    [CustomerId] INT NOT NULL,
    [InvoiceDate] DATETIME NOT NULL,
    [BillingCountry] NVARCHAR(40),
    [Total] NUMERIC(10,2) NOT NULL,
    CONSTRAINT [PK_Invoice] PRIMARY KEY CLUSTERED ([InvoiceId])
);
CREATE TABLE [dbo].[InvoiceLine] (
    [InvoiceLineId] INT NOT NULL IDENTITY,
    [InvoiceId] INT NOT NULL,
    [TrackId] INT NOT NULL,
    [UnitPrice] NUMERIC(10,2) NOT NULL,
    [Quantity] INT NOT NULL,
    CONSTRAINT [PK_InvoiceLine] PRIMARY KEY CLUSTERED ([InvoiceLineId])
);
CREATE TABLE [dbo].[Playlist] ([PlaylistId] INT NOT NULL IDENTITY, [Name] NVARCHAR(120), CONSTRAINT [PK_Playlist] PRIMARY KEY CLUSTERED ([PlaylistId]));
CREATE TABLE [dbo].[PlaylistTrack] ([PlaylistId] INT NOT NULL, [TrackId] INT NOT NULL, CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY NONCLUSTERED ([PlaylistId], [TrackId]));
GO
ALTER TABLE [dbo].[Album] ADD CONSTRAINT [FK_AlbumArtistId] FOREIGN KEY ([ArtistId]) REFERENCES [dbo].[Artist] ([ArtistId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
CREATE INDEX [IFK_AlbumArtistId] ON [dbo].[Album] ([ArtistId]);
ALTER TABLE [dbo].[Track] ADD CONSTRAINT [FK_TrackAlbumId] FOREIGN KEY ([AlbumId]) REFERENCES [dbo].[Album] ([AlbumId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
CREATE INDEX [IFK_TrackAlbumId] ON [dbo].[Track] ([AlbumId]);
ALTER TABLE [dbo].[Track] ADD CONSTRAINT [FK_TrackGenreId] FOREIGN KEY ([GenreId]) REFERENCES [dbo].[Genre] ([GenreId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
CREATE INDEX [IFK_TrackGenreId] ON [dbo].[Track] ([GenreId]);
ALTER TABLE [dbo].[Track] ADD CONSTRAINT [FK_TrackMediaTypeId] FOREIGN KEY ([MediaTypeId]) REFERENCES [dbo].[MediaType] ([MediaTypeId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
CREATE INDEX [IFK_TrackMediaTypeId] ON [dbo].[Track] ([MediaTypeId]);
ALTER TABLE [dbo].[Employee] ADD CONSTRAINT [FK_EmployeeReportsTo] FOREIGN KEY ([ReportsTo]) REFERENCES [dbo].[Employee] ([EmployeeId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
CREATE INDEX [IFK_EmployeeReportsTo] ON [dbo].[Employee] ([ReportsTo]);
ALTER TABLE [dbo].[Customer] ADD CONSTRAINT [FK_CustomerSupportRepId] FOREIGN KEY ([SupportRepId]) REFERENCES [dbo].[Employee] ([EmployeeId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
ALTER TABLE [dbo].[Invoice] ADD CONSTRAINT [FK_InvoiceCustomerId] FOREIGN KEY ([CustomerId]) REFERENCES [dbo].[Customer] ([CustomerId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
ALTER TABLE [dbo].[InvoiceLine] ADD CONSTRAINT [FK_InvoiceLineInvoiceId] FOREIGN KEY ([InvoiceId]) REFERENCES [dbo].[Invoice] ([InvoiceId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
ALTER TABLE [dbo].[InvoiceLine] ADD CONSTRAINT [FK_InvoiceLineTrackId] FOREIGN KEY ([TrackId]) REFERENCES [dbo].[Track] ([TrackId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
ALTER TABLE [dbo].[PlaylistTrack] ADD CONSTRAINT [FK_PlaylistTrackPlaylistId] FOREIGN KEY ([PlaylistId]) REFERENCES [dbo].[Playlist] ([PlaylistId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
ALTER TABLE [dbo].[PlaylistTrack] ADD CONSTRAINT [FK_PlaylistTrackTrackId] FOREIGN KEY ([TrackId]) REFERENCES [dbo].[Track] ([TrackId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
GO
INSERT INTO [dbo].[Artist] ([Name]) VALUES (N'Os Três Pássaros'), (N'Grüße & Töne'), (NULL), (N'''O'' the "Quotes"');
INSERT INTO [dbo].[Album] ([Title], [ArtistId]) VALUES (N'Ao Vivo em São João', 1), (N'[Untitled]', 2), (N'Ænima; -- a comment', 2);
INSERT INTO [dbo].[Genre] ([Name]) VALUES (N'Bossa Nova'), (N'R&B/Soul');
INSERT INTO [dbo].[MediaType] ([Name]) VALUES (N'MPEG audio file'), (N'Protected AAC audio file');
INSERT INTO [dbo].[Track] ([Name], [AlbumId], [MediaTypeId], [GenreId], [Composer], [Milliseconds], [Bytes], [UnitPrice]) VALUES
    (N'Água e Vinho', 1, 1, 1, N'A. Müller, B. Œuvre', 343719, 11170334, 0.99),
    (N'音楽 № 5', 2, 2, NULL, NULL, 1, NULL, 1.99),
    (N'Naïve (Live)' + NCHAR(9) + N'[Bonus]', NULL, 1, 2, N'', 2147483647, 0, 0);
INSERT INTO [dbo].[Employee] ([LastName], [FirstName], [ReportsTo], [BirthDate], [HireDate], [Email]) VALUES
    (N'Ådams', N'Andrea', NULL, '1962-02-18', '2002-08-14T08:30:00.007', N'andrea@chinook.example'),
    (N'Ed''wards', N'Nancy', 1, NULL, '2002-05-01', NULL),
    (N'Peacock', N'Jane', 2, '1973-08-29', NULL, N'jane@chinook.example');
INSERT INTO [dbo].[Customer] ([FirstName], [LastName], [Company], [City], [PostalCode], [Email], [SupportRepId]) VALUES
    (N'Luís', N'Gonçalves', N'Embraer - Empresa', N'São José dos Campos', N'12227-000', N'luis@shop.example', 3),
    (N'František', N'Wichterlová', NULL, N'Praha', NULL, N'f@shop.example', NULL);
INSERT INTO [dbo].[Invoice] ([CustomerId], [InvoiceDate], [BillingCountry], [Total]) VALUES (1, '2009-01-01', N'Brazil', 2.98), (2, '2013-12-22T23:59:59.997', NULL, -0.01);
INSERT INTO [dbo].[InvoiceLine] ([InvoiceId], [TrackId], [UnitPrice], [Quantity]) VALUES (1, 1, 0.99, 1), (1, 2, 1.99, 1), (2, 3, 99999999.99, -1);
INSERT INTO [dbo].[Playlist] ([Name]) VALUES (N'Music'), (N'90’s Music'), (NULL);
INSERT INTO [dbo].[PlaylistTrack] ([PlaylistId], [TrackId]) VALUES (2, 3), (1, 2), (1, 1);
