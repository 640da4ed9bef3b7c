-- The shape of a Business Central company: names with company and app, a rowversion first, $systemId last, decimal(38,20), every column NOT NULL, 1753 as the empty date, keys by case, and a table beside it for an extension's columns.
CREATE TABLE [dbo].[$ndo$dbproperty] ([databaseversionno] int NOT NULL, [license] image NULL, [invalididentifierchars] nvarchar(100) NOT NULL);
CREATE TABLE [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972] (
    [timestamp] [timestamp] NOT NULL,
    [No_] [nvarchar](20) COLLATE Latin1_General_100_CS_AS NOT NULL,
    [No_ 2] [nvarchar](20) COLLATE Latin1_General_100_CS_AS NOT NULL,
    [Description] [nvarchar](100) COLLATE Latin1_General_100_CS_AS NOT NULL,
    [Price_Profit Calculation] [int] NOT NULL,
    [Profit _] [decimal](38, 20) NOT NULL,
    [Unit Price] [decimal](38, 20) NOT NULL,
    [Blocked] [tinyint] NOT NULL,
    [Last DateTime Modified] [datetime] NOT NULL,
    [Picture] [uniqueidentifier] NOT NULL,
    [Tax Group, "Code" & `Größe`] [nvarchar](20) COLLATE Latin1_General_100_CS_AS NOT NULL,
    [Comment] [image] NULL,
    [$systemId] [uniqueidentifier] NOT NULL,
    [$systemCreatedAt] [datetime] NOT NULL,
    [$systemModifiedBy] [uniqueidentifier] NOT NULL,
    CONSTRAINT [CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972$Key1] PRIMARY KEY CLUSTERED ([No_] ASC) WITH (PAD_INDEX = OFF, STATISTICS_NORECOMPUTE = OFF, IGNORE_DUP_KEY = OFF, ALLOW_ROW_LOCKS = ON, ALLOW_PAGE_LOCKS = ON) ON [PRIMARY]
) ON [PRIMARY] TEXTIMAGE_ON [PRIMARY];
CREATE TABLE [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972$ext] (
    [timestamp] [timestamp] NOT NULL,
    [No_] [nvarchar](20) COLLATE Latin1_General_100_CS_AS NOT NULL,
    [Last Phys_ Invt_ Date$437dbf0e-84ff-417a-965d-ed2bb9650972] [datetime] NOT NULL,
    [Over-Receipt Code$437dbf0e-84ff-417a-965d-ed2bb9650972] [nvarchar](20) COLLATE Latin1_General_100_CS_AS NOT NULL,
    CONSTRAINT [CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972$ext$Key1] PRIMARY KEY CLUSTERED ([No_] ASC)
);
CREATE TABLE [dbo].[CRONUS USA, Inc_$Sales Invoice Line$437dbf0e-84ff-417a-965d-ed2bb9650972] (
    [timestamp] [timestamp] NOT NULL,
    [Document Type] [int] NOT NULL,
    [Document No_] [nvarchar](20) COLLATE Latin1_General_100_CS_AS NOT NULL,
    [Line No_] [int] NOT NULL,
    [Quantity] [decimal](38, 20) NOT NULL,
    [Amount Including VAT] [decimal](38, 20) NOT NULL,
    [$systemId] [uniqueidentifier] NOT NULL,
    CONSTRAINT [CRONUS USA, Inc_$Sales Invoice Line$437dbf0e-84ff-417a-965d-ed2bb9650972$Key1] PRIMARY KEY CLUSTERED ([Document Type] ASC, [Document No_] ASC, [Line No_] ASC)
);
GO
ALTER TABLE [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972] ADD CONSTRAINT [MDF$Item$$systemId] DEFAULT (newid()) FOR [$systemId];
ALTER TABLE [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972] ADD CONSTRAINT [MDF$Item$$systemCreatedAt] DEFAULT (CONVERT([datetime], '1753.01.01')) FOR [$systemCreatedAt];
CREATE UNIQUE NONCLUSTERED INDEX [$$systemId] ON [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972] ([$systemId] ASC);
CREATE NONCLUSTERED INDEX [$2] ON [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972] ([Description] ASC, [No_] ASC);
CREATE UNIQUE NONCLUSTERED INDEX [$$systemId] ON [dbo].[CRONUS USA, Inc_$Sales Invoice Line$437dbf0e-84ff-417a-965d-ed2bb9650972] ([$systemId] ASC);
GO
INSERT INTO [dbo].[$ndo$dbproperty] VALUES (230023, 0x0102FF, N'."\/''%][');
INSERT INTO [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972] ([No_], [No_ 2], [Description], [Price_Profit Calculation], [Profit _], [Unit Price], [Blocked], [Last DateTime Modified], [Picture], [Tax Group, "Code" & `Größe`], [Comment], [$systemId], [$systemCreatedAt], [$systemModifiedBy]) VALUES
    (N'1896-S', N'', N'ATHENS Desk', 0, 21.98399999999999999999, 1000.8, 0, '2026-01-26T09:30:15.120', '6F9619FF-8B86-D011-B42D-00C04FC964FF', N'MÖBEL', NULL, '01020304-0506-0708-090A-0B0C0D0E0F10', '1753-01-01', '00000000-0000-0000-0000-000000000000'),
    (N'1896-s', N'x', N'Σκρίνιο 桌 “Athen”', 1, -0.00000000000000000001, 999999999999999999.99999999999999999999, 1, '1753-01-01', '00000000-0000-0000-0000-000000000000', N'', 0x00FF, '11020304-0506-0708-090A-0B0C0D0E0F10', '1753-01-01', '00112233-4455-6677-8899-AABBCCDDEEFF'),
    (N'', N'', N'', 2, 0, 0, 255, '1753-01-01', '00000000-0000-0000-0000-000000000000', N'', 0x, '21020304-0506-0708-090A-0B0C0D0E0F10', '1753-01-01', '00000000-0000-0000-0000-000000000000');
INSERT INTO [dbo].[CRONUS USA, Inc_$Item$437dbf0e-84ff-417a-965d-ed2bb9650972$ext] ([No_], [Last Phys_ Invt_ Date$437dbf0e-84ff-417a-965d-ed2bb9650972], [Over-Receipt Code$437dbf0e-84ff-417a-965d-ed2bb9650972]) VALUES
    (N'1896-S', '2025-12-31', N'ÜBER10'), (N'1896-s', '1753-01-01', N''), (N'', '1753-01-01', N'');
INSERT INTO [dbo].[CRONUS USA, Inc_$Sales Invoice Line$437dbf0e-84ff-417a-965d-ed2bb9650972] ([Document Type], [Document No_], [Line No_], [Quantity], [Amount Including VAT], [$systemId]) VALUES
    (0, N'103001', 10000, 1, 1200.96, '31020304-0506-0708-090A-0B0C0D0E0F10'),
    (0, N'103001', 20000, -2.5, 0, '41020304-0506-0708-090A-0B0C0D0E0F10'),
    (1, N'103001', 10000, 0.33333333333333333333, -12345678901234567.00000000000000000001, '51020304-0506-0708-090A-0B0C0D0E0F10');
