-- The shape of a bookseller of 1990: alias types by sp_addtype, money, bits, image and text, checks, defaults, keys of three columns, a table without a key.
EXEC sp_addtype N'id', N'varchar(11)', N'NOT NULL'
EXEC sp_addtype N'tid', N'varchar(6)', N'NOT NULL'
EXEC sp_addtype N'empid', N'char(9)', N'NOT NULL'
GO
CREATE TABLE authors
(
    au_id    id CHECK (au_id like '[0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][0-9][0-9]') CONSTRAINT UPKCL_auidind PRIMARY KEY CLUSTERED,
    au_lname varchar(40) NOT NULL,
    au_fname varchar(20) NOT NULL,
    phone    char(12) NOT NULL DEFAULT ('UNKNOWN'),
    address  varchar(40) NULL,
    state    char(2) NULL,
    zip      char(5) NULL CHECK (zip like '[0-9][0-9][0-9][0-9][0-9]'),
    contract bit NOT NULL
)
GO
CREATE TABLE publishers
(
    pub_id   char(4) NOT NULL CONSTRAINT UPKCL_pubind PRIMARY KEY CLUSTERED CHECK (pub_id in ('1389', '0736', '0877', '1622', '1756') OR pub_id like '99[0-9][0-9]'),
    pub_name varchar(40) NULL,
    country  varchar(30) NULL DEFAULT ('USA')
)
GO
CREATE TABLE titles
(
    title_id tid CONSTRAINT UPKCL_titleidind PRIMARY KEY CLUSTERED,
    title    varchar(80) NOT NULL,
    type     char(12) NOT NULL DEFAULT ('UNDECIDED'),
    pub_id   char(4) NULL REFERENCES publishers(pub_id),
    price    money NULL,
    advance  money NULL,
    royalty  int NULL,
    ytd_sales int NULL,
    notes    varchar(200) NULL,
    pubdate  datetime NOT NULL DEFAULT (getdate())
)
GO
CREATE TABLE titleauthor
(
    au_id      id REFERENCES authors(au_id),
    title_id   tid REFERENCES titles(title_id),
    au_ord     tinyint NULL,
    royaltyper int NULL,
    CONSTRAINT UPKCL_taind PRIMARY KEY CLUSTERED (au_id, title_id)
)
GO
CREATE TABLE stores
(
    stor_id   char(4) NOT NULL CONSTRAINT UPK_storeid PRIMARY KEY CLUSTERED,
    stor_name varchar(40) NULL
)
GO
CREATE TABLE sales
(
    stor_id  char(4) NOT NULL REFERENCES stores(stor_id),
    ord_num  varchar(20) NOT NULL,
    ord_date datetime NOT NULL,
    qty      smallint NOT NULL,
    payterms varchar(12) NOT NULL,
    title_id tid REFERENCES titles(title_id),
    CONSTRAINT UPKCL_sales PRIMARY KEY CLUSTERED (stor_id, ord_num, title_id)
)
GO
CREATE TABLE discounts
(
    discounttype varchar(40) NOT NULL,
    stor_id      char(4) NULL REFERENCES stores(stor_id),
    lowqty       smallint NULL,
    discount     dec(4,2) NOT NULL
)
GO
CREATE TABLE pub_info
(
    pub_id  char(4) NOT NULL REFERENCES publishers(pub_id) CONSTRAINT UPKCL_pubinfo PRIMARY KEY CLUSTERED,
    logo    image NULL,
    pr_info text NULL
)
GO
CREATE TABLE employee
(
    emp_id  empid CONSTRAINT PK_emp_id PRIMARY KEY NONCLUSTERED CONSTRAINT CK_emp_id CHECK (emp_id LIKE '[A-Z][A-Z][A-Z][1-9][0-9][0-9][0-9][0-9][FM]' or emp_id LIKE '[A-Z]-[A-Z][1-9][0-9][0-9][0-9][0-9][FM]'),
    fname   varchar(20) NOT NULL,
    minit   char(1) NULL,
    lname   varchar(30) NOT NULL,
    job_lvl tinyint DEFAULT 10,
    pub_id  char(4) NOT NULL DEFAULT ('9952') REFERENCES publishers(pub_id),
    hire_date datetime NOT NULL DEFAULT (getdate())
)
GO
CREATE CLUSTERED INDEX employee_ind ON employee(lname, fname, minit)
CREATE NONCLUSTERED INDEX aunmind ON authors (au_lname, au_fname)
CREATE INDEX titleidind ON sales (title_id)
GO
CREATE VIEW titleview AS SELECT title, au_ord, au_lname, price FROM authors, titles, titleauthor WHERE authors.au_id = titleauthor.au_id AND titles.title_id = titleauthor.title_id
GO
INSERT authors VALUES ('409-56-7008', 'Bennet', 'Abraham', '415 658-9932', '6223 Bateman St.', 'CA', '94705', 1)
INSERT authors (au_id, au_lname, au_fname, contract) VALUES ('998-72-3567', N'Ringér', 'Ålbert', 0)
INSERT publishers VALUES ('0736', 'New Moon Books', 'USA')
INSERT publishers VALUES ('9952', NULL, NULL)
INSERT publishers (pub_id) VALUES ('9901')
INSERT titles VALUES ('BU1032', 'The Busy Executive''s Database Guide', 'business', '0736', 19.99, $5000.00, 10, 4095, N'An overview of available database systems – “illustrated”.', '1991-06-12')
INSERT titles (title_id, title, pubdate) VALUES ('MC3026', 'The Psychology of Computer Cooking', '1753-01-01')
INSERT titles VALUES ('PC9999', 'Net Etiquette', 'popular_comp', NULL, -922337203685477.5808, .0001, NULL, -1, '', '9999-12-31T23:59:59.997')
INSERT titleauthor VALUES ('409-56-7008', 'BU1032', 1, 60)
INSERT titleauthor VALUES ('998-72-3567', 'BU1032', 2, NULL)
INSERT stores VALUES ('6380', 'Eric the Read Books')
INSERT stores VALUES ('7066', N'Barnum’s')
INSERT sales VALUES ('6380', '6871', '1994-09-14', 5, 'Net 60', 'BU1032')
INSERT sales VALUES ('6380', '6871', '1994-09-14', -32768, 'Net 60', 'PC9999')
INSERT sales VALUES ('7066', 'A2976', '1993-05-24', 50, '', 'BU1032')
INSERT discounts VALUES ('Initial Customer', NULL, NULL, 10.5)
INSERT discounts VALUES ('Initial Customer', NULL, NULL, 10.5)
INSERT discounts VALUES ('Customer Discount', '7066', 100, 99.99)
INSERT pub_info VALUES ('0736', 0x474946383961D3001F00B30F00000000800000, 'This is sample text data for New Moon Books, publisher 0736 in the pubs database.' + CHAR(13) + CHAR(10) + N'It is located in Boston – «MA».')
INSERT pub_info VALUES ('9901', NULL, '')
INSERT pub_info VALUES ('9952', 0x, NULL)
UPDATE pub_info SET logo = CAST(REPLICATE(CAST(0xFF AS varbinary(max)), 70000) AS image) WHERE pub_id = '9952'
INSERT employee VALUES ('PTC11962M', 'Philip', 'T', 'Cramer', 215, '9952', '1989-11-11')
INSERT employee (emp_id, fname, lname, hire_date) VALUES ('A-R89858F', 'Annette', 'Roulet', '1990-02-21')
