-- About a million rows, the same on every run: everything follows from a number.

INSERT INTO tools.numbers (n)
SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d
FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS a (d)
CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS b (d)
CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS c (d)
CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS d (d)
CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS e (d)
CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5)) AS f (d);
GO

-- One head, nine departments with ten teams each, and the people in three of the departments.
INSERT INTO hr.employees (employee_id, position, manager_id, name, job_title, hired, shift_start, shift_length, salary, badge, portrait)
SELECT n,
    CAST(CASE
        WHEN n = 0 THEN '/'
        WHEN n < 10 THEN CONCAT('/', n, '/')
        WHEN n < 100 THEN CONCAT('/', n / 10, '/', n % 10 + 1, '/')
        ELSE CONCAT('/', n / 100, '/', n % 100 / 10 + 1, '/', n % 10 + 1, '/')
    END AS hierarchyid),
    CASE WHEN n = 0 THEN NULL WHEN n < 10 THEN 0 ELSE n / 10 END,
    CONCAT(
        CHOOSE(n % 12 + 1, N'Anna', N'Bjørn', N'Chloé', N'Дмитрий', N'Eleni', N'François', N'Günter', N'花子', N'Íñigo', N'Jürgen', N'Kjell', N'Łucja'),
        N' ',
        CHOOSE(n % 11 + 1, N'Albers', N'Brontë', N'Çelik', N'Đorđević', N'Eriksson', N'Ференц', N'García', N'Hø', N'Иванова', N'Jansen', N'Kováč')),
    CASE WHEN n = 0 THEN 'Geschäftsführerin' WHEN n < 10 THEN 'Head of department' WHEN n < 100 THEN 'Team lead' ELSE 'Clerk' END,
    DATEADD(day, n * 23 % 8000, CAST('2001-03-01' AS date)),
    CAST(CHOOSE(n % 3 + 1, '06:00:00', '14:00:00', '22:00:00') AS time(0)),
    CASE WHEN n % 7 = 0 THEN NULL ELSE CAST(CONCAT('0', n % 9 + 1, ':30:00.1234567') AS time(7)) END,
    CAST(2400 + n * 37 % 3600 AS decimal(9, 4)) + CAST(n % 100 AS decimal(9, 4)) / 100,
    CAST(n * 7919 + 1 AS binary(8)),
    CASE WHEN n % 3 = 0 THEN CAST(REPLICATE(CAST('JFIF' AS varchar(max)), 250 + n) AS varbinary(max)) END
FROM tools.numbers
WHERE n < 400
ORDER BY n;
GO

INSERT INTO catalog.categories (parent_id, name, icon, sort_order)
SELECT CASE WHEN n < 10 THEN NULL ELSE n % 10 + 1 END,
    CASE WHEN n < 10
        THEN CHOOSE(n + 1, N'Tea & coffee', N'Möbel', N'Papeterie', N'おもちゃ', N'Инструменты', N'Bicycles', N'Garden', N'Μουσική', N'Books', N'Lighting')
        ELSE CONCAT(N'Range ', n)
    END,
    CHOOSE(n % 10 + 1, N'☕', N'🪑', N'✏️', N'🧸', N'🔧', N'🚲', N'🌻', N'🎻', N'📚', N'💡'),
    n
FROM tools.numbers
WHERE n < 60
ORDER BY n;
GO

INSERT INTO catalog.products (category_id, sku, name, supplier_name, description, list_price, barcode, margin, weight_kg, volume_m3, picture, thumbnail, discontinued)
SELECT n % 60 + 1,
    CONCAT(CHOOSE(n % 4 + 1, 'AB', 'ab', 'Xy', 'Z-'), RIGHT(CONCAT('000000', n), 6)),
    CONCAT(CHOOSE(n % 8 + 1, N'Teekanne „Lübeck“', N'Lampe d''été', N'木の箱', N'Чайник', N'Café crème', N'Folding bike', N'Smørkniv', N'Ψαλίδι'), N' ', n),
    CASE WHEN n % 5 = 0 THEN NULL ELSE CONCAT(N'Завод № ', n % 40) END,
    CASE WHEN n % 9 = 0 THEN NULL ELSE CAST(CONCAT(N'<product no="', n, N'"><colour>', CHOOSE(n % 3 + 1, N'rot', N'blå', N'緑'), N'</colour><note>5 &lt; 7 &amp; done</note></product>') AS xml) END,
    CAST(n * 131 % 90000 AS decimal(19, 4)) / 100 + 1,
    CAST(4000000000000 AS numeric(13, 0)) + n * 97,
    CAST(n % 1000 AS decimal(9, 6)) / 1000,
    CASE WHEN n % 6 = 0 THEN NULL ELSE CAST(n % 400 AS real) / 8 END,
    CAST(n % 997 AS float) / 1024,
    CASE WHEN n % 10 = 0 THEN CAST(REPLICATE(CAST('PNG?' AS varchar(max)), 500 + n) AS varbinary(max)) END,
    CASE WHEN n % 2 = 0 THEN CAST(CONCAT('thumb', n) AS varbinary(200)) END,
    CASE WHEN n % 12 = 0 THEN 1 ELSE 0 END
FROM tools.numbers
WHERE n < 3000
ORDER BY n;
GO

-- Each product had three prices before today's; a period ends when the next begins.
INSERT INTO catalog.price_history (product_id, price, valid_from, valid_to)
SELECT n / 3 + 1,
    CAST(n * 131 % 90000 AS decimal(19, 4)) / 100 + 1,
    DATEADD(day, n % 3 * 200, CAST('2022-01-01T00:00:00.1234567' AS datetime2(7))),
    DATEADD(day, (n % 3 + 1) * 200, CAST('2022-01-01T00:00:00.1234567' AS datetime2(7)))
FROM tools.numbers
WHERE n < 9000
ORDER BY n;
INSERT INTO catalog.prices (product_id, price, valid_from, valid_to)
SELECT n + 1,
    CAST(n * 137 % 90000 AS decimal(19, 4)) / 100 + 1,
    DATEADD(day, 600, CAST('2022-01-01T00:00:00.1234567' AS datetime2(7))),
    CAST('9999-12-31T23:59:59.9999999' AS datetime2(7))
FROM tools.numbers
WHERE n < 3000
ORDER BY n;
GO

INSERT INTO sales.customers (customer_number, name, contact, contact_local, email, country, credit_limit, rating, usual_discount, active, customer_since, last_login, created_at, notes)
SELECT CONCAT('C', RIGHT(CONCAT('0000000', n + 1), 7)),
    CONCAT(
        CHOOSE(n % 9 + 1, N'Müller & Söhne', N'株式会社山田', N'Société Générale du Thé', N'ООО Ромашка', N'Smith "Quality" Ltd', N'Ångström AB', N'上海茶叶公司', N'O''Brien Traders', N'Κατάστημα'),
        N' ', n),
    CASE WHEN n % 8 = 0 THEN NULL ELSE CHOOSE(n % 5 + 1, 'Zoë Brontë', 'José Núñez', 'Renée Müller – Einkauf', 'Åse Ødegård', 'N. N. (€)') END,
    CASE WHEN n % 9 = 3 THEN N'Иван Петров' END,
    CONCAT('buyer', n, '@customer', n % 5000, '.example'),
    CHOOSE(n % 9 + 1, N'DE', N'JP', N'FR', N'RU', N'GB', N'SE', N'CN', N'IE', N'GR'),
    CASE WHEN n % 10 = 0 THEN NULL WHEN n % 5000 = 1 THEN CAST(922337203685477.5807 AS money) ELSE CAST(n * 7 % 100000 AS money) END,
    n % 256,
    CASE WHEN n % 4 = 0 THEN NULL ELSE CAST(n % 32 AS real) / 64 END,
    CASE WHEN n % 20 = 19 THEN 0 ELSE 1 END,
    CASE WHEN n = 0 THEN CAST('0001-01-01' AS date) ELSE DATEADD(day, n % 9000, CAST('1999-01-04' AS date)) END,
    CASE WHEN n % 3 = 0 THEN NULL ELSE DATEADD(minute, n * 61, CAST('2021-05-06T07:08:00' AS smalldatetime)) END,
    DATEADD(millisecond, n * 100003, CAST('2019-11-12T13:14:15.997' AS datetime)),
    CASE
        WHEN n % 1000 = 0 THEN REPLICATE(CAST(N'Lange Notiz, 長いメモ, 🚚📦. ' AS nvarchar(max)), 400)
        WHEN n % 10 = 1 THEN N'Calls back on Mondays 📞' + NCHAR(13) + NCHAR(10) + N'tab' + NCHAR(9) + N'backslash \N end'
        WHEN n % 10 = 2 THEN N''
        ELSE NULL
    END
FROM tools.numbers
WHERE n < 20000
ORDER BY n;
GO

INSERT INTO sales.addresses (customer_id, kind, street, postal_code, city, location, directions, directions_local)
SELECT n % 20000 + 1,
    n / 20000,
    CONCAT(CHOOSE(n % 5 + 1, N'Große Straße ', N'Rue de l''Église ', N'桜通り ', N'ул. Ленина ', N'High Street '), n % 300 + 1),
    RIGHT(CONCAT('00000', n * 17 % 99999), 5),
    CHOOSE(n % 9 + 1, N'Köln', N'東京', N'Orléans', N'Москва', N'London', N'Malmö', N'上海', N'Dún Laoghaire', N'Αθήνα'),
    CASE WHEN n % 3 = 0 THEN NULL ELSE geography::STGeomFromText(CONCAT('POINT (', n % 170, '.25 ', n % 80, '.5)'), 4326) END,
    CASE WHEN n % 6 = 0 THEN 'Zweite Tür links, Zufahrt über den Hof' END,
    CASE WHEN n % 6 = 1 THEN N'駅から徒歩5分 🚶' END
FROM tools.numbers
WHERE n < 30000
ORDER BY n;
GO

INSERT INTO sales.orders (order_id, customer_id, employee_id, ordered_at, wanted_by, status, currency, rush, reference, comment)
SELECT n + 1,
    n * 7 % 20000 + 1,
    CASE WHEN n % 11 = 0 THEN NULL ELSE n % 400 END,
    DATEADD(second, n * 631, CAST('2022-01-03T08:00:00.003' AS datetime)),
    CASE WHEN n % 4 = 0 THEN NULL ELSE DATEADD(day, n / 137 + 14, CAST('2022-01-03' AS date)) END,
    CASE WHEN n > 148000 THEN 'O' WHEN n % 50 = 0 THEN 'X' ELSE 'D' END,
    CHOOSE(n % 4 + 1, N'EUR', N'JPY', N'GBP', N'SEK'),
    CASE WHEN n % 13 = 0 THEN 1 ELSE 0 END,
    CAST(CONCAT(RIGHT(CONCAT('00000000', n * 37), 8), '-', RIGHT(CONCAT('0000', n % 9973), 4), '-4000-8000-', RIGHT(CONCAT('000000000000', n), 12)) AS uniqueidentifier),
    CASE WHEN n % 17 = 0 THEN CONCAT(N'Bitte klingeln / ベルを鳴らして 🔔 ', n) END
FROM tools.numbers
WHERE n < 150000
ORDER BY n;
GO

INSERT INTO sales.order_lines (order_id, line_no, product_id, quantity, unit_price, discount)
SELECT n / 4 + 1,
    n % 4 + 1,
    n * 13 % 3000 + 1,
    n % 24 + 1,
    CAST(n * 13 % 90000 AS decimal(19, 4)) / 100 + 1,
    CAST(n % 5 AS decimal(5, 4)) / 20
FROM tools.numbers
WHERE n < 600000
ORDER BY n;
GO

INSERT INTO sales.payments (order_id, paid_at, amount, method, card_digits, receipt)
SELECT n + 1,
    DATEADD(second, n * 631 + 86400, CAST('2022-01-03T08:00:00.125' AS datetime2(3))),
    CAST(n * 53 % 400000 AS decimal(19, 4)) / 100,
    CHOOSE(n % 4 + 1, 'card', 'transfer', 'cash', 'direct'),
    CASE WHEN n % 4 = 0 THEN RIGHT(CONCAT('0000', n), 4) END,
    CASE WHEN n % 3 = 0 THEN CAST(n AS varbinary(16)) END
FROM tools.numbers
WHERE n < 150000
ORDER BY n;
GO

INSERT INTO sales.shipments (shipment_id, order_id, shipped_at, delivered_at, carrier, tracking, handed_over_at)
SELECT n + 1,
    n * 2 + 1,
    TODATETIMEOFFSET(DATEADD(second, n * 1262 + 40000, CAST('2022-01-03T08:00:00.250' AS datetime2(3))), CHOOSE(n % 4 + 1, '+01:00', '+09:00', '-05:00', '+05:30')),
    CASE WHEN n % 10 = 0 THEN NULL ELSE TODATETIMEOFFSET(DATEADD(second, n * 1262 + 240000, CAST('2022-01-03T08:00:00.1234567' AS datetime2(7))), CHOOSE(n % 4 + 1, '+01:00', '+09:00', '-05:00', '+05:30')) END,
    CHOOSE(n % 5 + 1, N'Nordpost', N'ヤマト運輸', N'Colis-Éclair', N'Почта', N'Bike Couriers 🚴'),
    CASE WHEN n % 5 = 3 THEN NULL ELSE CONCAT('TRK-', RIGHT(CONCAT('0000000000', n * 31), 10)) END,
    CASE WHEN n % 4 = 0 THEN geography::STGeomFromText(CONCAT('POINT (-', n % 170, '.125 ', n % 80, '.75)'), 4326) END
FROM tools.numbers
WHERE n < 60000
ORDER BY n;
GO

INSERT INTO audit.audit_log (entry_id, happened_at, actor, field, old_value, new_value, detail)
SELECT CAST(CONCAT(RIGHT(CONCAT('00000000', n * 7919 % 99999989), 8), '-', RIGHT(CONCAT('0000', n * 3 % 9973), 4), '-4000-8000-', RIGHT(CONCAT('000000000000', n * 11), 12)) AS uniqueidentifier),
    DATEADD(second, n * 977, CAST('2024-02-29T23:59:59.9999999' AS datetime2(7))),
    CHOOSE(n % 3 + 1, N'batch', N'TRADING\björn', N'api-用户'),
    CHOOSE(n % 6 + 1, 'rating', 'credit_limit', 'name', 'customer_since', 'version', 'reference'),
    CASE n % 6
        WHEN 0 THEN CAST(CAST(n % 256 AS tinyint) AS sql_variant)
        WHEN 1 THEN CAST(CAST(n AS money) AS sql_variant)
        WHEN 2 THEN CAST(CAST(CONCAT(N'名 ', n) AS nvarchar(40)) AS sql_variant)
        WHEN 3 THEN CAST(DATEADD(day, n % 5000, CAST('2010-01-01' AS date)) AS sql_variant)
        WHEN 4 THEN CAST(CAST(n AS varbinary(8)) AS sql_variant)
        ELSE NULL
    END,
    CASE n % 6
        WHEN 0 THEN CAST(n AS sql_variant)
        WHEN 1 THEN CAST(CAST(n AS decimal(12, 3)) / 8 AS sql_variant)
        WHEN 2 THEN CAST(CAST(CONCAT('Name ', n) AS varchar(40)) AS sql_variant)
        WHEN 3 THEN CAST(DATEADD(second, n, CAST('2020-02-02T02:02:02.1234567' AS datetime2(7))) AS sql_variant)
        WHEN 4 THEN CAST(CAST(n AS float) / 3 AS sql_variant)
        ELSE CAST(CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier) AS sql_variant)
    END,
    CASE
        WHEN n % 2500 = 0 THEN REPLICATE(CAST(N'{"stack": "…", "emoji": "🧾"}, ' AS nvarchar(max)), 20000)
        WHEN n % 3 = 0 THEN CONCAT(N'{"row": ', n, N', "why": "correction, 訂正"}')
    END
FROM tools.numbers
WHERE n < 10000
ORDER BY n;
GO
