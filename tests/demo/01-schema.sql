-- The sample business: a trading house with customers on several continents.
-- Plain T-SQL: it runs on SQL Server 2016 and later too, in an empty database.

CREATE SCHEMA tools;
GO
CREATE SCHEMA hr;
GO
CREATE SCHEMA catalog;
GO
CREATE SCHEMA sales;
GO
CREATE SCHEMA audit;
GO

-- 0 to 599,999: every other table is made from it, set by set. It is not copied.
CREATE TABLE tools.numbers (n int NOT NULL CONSTRAINT pk_numbers PRIMARY KEY);
GO

CREATE TABLE hr.employees (
    employee_id smallint NOT NULL CONSTRAINT pk_employees PRIMARY KEY,
    position hierarchyid NOT NULL,
    manager_id smallint NULL CONSTRAINT fk_employees_manager REFERENCES hr.employees (employee_id),
    name nvarchar(80) NOT NULL,
    job_title varchar(60) COLLATE Latin1_General_CI_AS NOT NULL,
    hired date NOT NULL,
    shift_start time(0) NOT NULL,
    shift_length time(7) NULL,
    salary smallmoney NOT NULL,
    badge binary(8) NOT NULL,
    portrait varbinary(max) NULL,
    CONSTRAINT ux_employees_badge UNIQUE (badge)
);
GO

CREATE TABLE catalog.categories (
    category_id smallint IDENTITY(1, 1) NOT NULL CONSTRAINT pk_categories PRIMARY KEY,
    parent_id smallint NULL CONSTRAINT fk_categories_parent REFERENCES catalog.categories (category_id),
    name nvarchar(60) NOT NULL,
    icon nvarchar(8) NOT NULL,
    sort_order tinyint NOT NULL CONSTRAINT df_categories_sort DEFAULT (0)
);
GO

CREATE TABLE catalog.products (
    product_id int IDENTITY(1, 1) NOT NULL CONSTRAINT pk_products PRIMARY KEY,
    category_id smallint NOT NULL CONSTRAINT fk_products_category REFERENCES catalog.categories (category_id),
    sku varchar(20) COLLATE Latin1_General_BIN2 NOT NULL,
    name nvarchar(120) NOT NULL,
    supplier_name varchar(60) COLLATE Cyrillic_General_CI_AS NULL,
    description xml NULL,
    list_price money NOT NULL,
    barcode numeric(13, 0) NOT NULL,
    margin decimal(9, 6) NOT NULL,
    weight_kg real NULL,
    volume_m3 float NULL,
    picture image NULL,
    thumbnail varbinary(200) NULL,
    discontinued bit NOT NULL,
    version rowversion NOT NULL
);
CREATE UNIQUE INDEX ux_products_sku ON catalog.products (sku);
CREATE INDEX ix_products_category ON catalog.products (category_id, list_price DESC) INCLUDE (name);
CREATE INDEX ix_products_on_sale ON catalog.products (category_id) WHERE discontinued = 0;
GO

-- The prices of today and those of the past.
CREATE TABLE catalog.prices (
    product_id int NOT NULL CONSTRAINT pk_prices PRIMARY KEY
        CONSTRAINT fk_prices_product REFERENCES catalog.products (product_id),
    price decimal(19, 4) NOT NULL,
    valid_from datetime2(7) NOT NULL,
    valid_to datetime2(7) NOT NULL
);
CREATE TABLE catalog.price_history (
    product_id int NOT NULL,
    price decimal(19, 4) NOT NULL,
    valid_from datetime2(7) NOT NULL,
    valid_to datetime2(7) NOT NULL
);
GO

CREATE TABLE sales.customers (
    customer_id int IDENTITY(1, 1) NOT NULL CONSTRAINT pk_customers PRIMARY KEY,
    customer_number char(8) COLLATE Latin1_General_CI_AS NOT NULL,
    name nvarchar(100) NOT NULL,
    contact varchar(60) COLLATE Latin1_General_CI_AS NULL,
    contact_local varchar(60) COLLATE Cyrillic_General_CI_AS NULL,
    email varchar(120) COLLATE Latin1_General_CI_AS NOT NULL,
    country nchar(2) NOT NULL,
    credit_limit money NULL,
    rating tinyint NOT NULL,
    usual_discount real NULL,
    active bit NOT NULL,
    customer_since date NOT NULL,
    last_login smalldatetime NULL,
    created_at datetime NOT NULL,
    notes nvarchar(max) NULL,
    CONSTRAINT ux_customers_number UNIQUE (customer_number)
);
CREATE INDEX ix_customers_country ON sales.customers (country, rating) INCLUDE (name, email);
GO

CREATE TABLE sales.addresses (
    address_id bigint IDENTITY(1000000000000, 1) NOT NULL CONSTRAINT pk_addresses PRIMARY KEY,
    customer_id int NOT NULL CONSTRAINT fk_addresses_customer REFERENCES sales.customers (customer_id),
    kind tinyint NOT NULL,
    street nvarchar(100) NOT NULL,
    postal_code varchar(12) COLLATE Latin1_General_CI_AS NOT NULL,
    city nvarchar(60) NOT NULL,
    location geography NULL,
    directions text COLLATE Latin1_General_CI_AS NULL,
    directions_local ntext NULL
);
CREATE INDEX ix_addresses_customer ON sales.addresses (customer_id);
GO

CREATE TABLE sales.orders (
    order_id int NOT NULL CONSTRAINT pk_orders PRIMARY KEY,
    customer_id int NOT NULL CONSTRAINT fk_orders_customer REFERENCES sales.customers (customer_id),
    employee_id smallint NULL CONSTRAINT fk_orders_employee REFERENCES hr.employees (employee_id),
    ordered_at datetime NOT NULL,
    wanted_by date NULL,
    status char(1) COLLATE Latin1_General_CI_AS NOT NULL,
    currency nchar(3) NOT NULL,
    rush bit NOT NULL CONSTRAINT df_orders_rush DEFAULT (0),
    reference uniqueidentifier NOT NULL,
    comment nvarchar(200) NULL
);
CREATE INDEX ix_orders_customer ON sales.orders (customer_id, ordered_at DESC) INCLUDE (status);
CREATE INDEX ix_orders_open ON sales.orders (ordered_at) WHERE status = 'O';
GO

CREATE TABLE sales.order_lines (
    order_id int NOT NULL CONSTRAINT fk_lines_order REFERENCES sales.orders (order_id),
    line_no tinyint NOT NULL,
    product_id int NOT NULL CONSTRAINT fk_lines_product REFERENCES catalog.products (product_id),
    quantity smallint NOT NULL,
    unit_price decimal(19, 4) NOT NULL,
    discount decimal(5, 4) NOT NULL,
    line_total AS (CAST(quantity * unit_price AS decimal(19, 4))),
    CONSTRAINT pk_order_lines PRIMARY KEY (order_id, line_no)
);
CREATE INDEX ix_lines_product ON sales.order_lines (product_id);
GO

CREATE TABLE sales.payments (
    payment_id bigint IDENTITY(1, 1) NOT NULL CONSTRAINT pk_payments PRIMARY KEY,
    order_id int NOT NULL CONSTRAINT fk_payments_order REFERENCES sales.orders (order_id),
    paid_at datetime2(3) NOT NULL,
    amount decimal(19, 4) NOT NULL,
    method varchar(10) COLLATE Latin1_General_CI_AS NOT NULL,
    card_digits char(4) COLLATE Latin1_General_CI_AS NULL,
    receipt varbinary(16) NULL
);
CREATE INDEX ix_payments_order ON sales.payments (order_id);
GO

CREATE TABLE sales.shipments (
    shipment_id int NOT NULL CONSTRAINT pk_shipments PRIMARY KEY,
    order_id int NOT NULL CONSTRAINT fk_shipments_order REFERENCES sales.orders (order_id),
    shipped_at datetimeoffset(3) NOT NULL,
    delivered_at datetimeoffset(7) NULL,
    carrier nvarchar(30) NOT NULL,
    tracking varchar(30) COLLATE Latin1_General_CI_AS NULL,
    handed_over_at geography NULL
);
CREATE INDEX ix_shipments_order ON sales.shipments (order_id);
GO

CREATE TABLE audit.audit_log (
    entry_id uniqueidentifier NOT NULL CONSTRAINT pk_audit_log PRIMARY KEY,
    happened_at datetime2(7) NOT NULL,
    actor nvarchar(128) NOT NULL,
    field varchar(40) COLLATE Latin1_General_CI_AS NOT NULL,
    old_value sql_variant NULL,
    new_value sql_variant NULL,
    detail nvarchar(max) NULL
);
GO

CREATE VIEW sales.customer_totals AS
SELECT o.customer_id, COUNT(*) AS orders, MIN(o.ordered_at) AS first_order, MAX(o.ordered_at) AS last_order
FROM sales.orders AS o
GROUP BY o.customer_id;
GO
