-- What the owner of the source does once, so that changes can be followed. `sync-job check` prints these statements.
ALTER DATABASE trading SET ALLOW_SNAPSHOT_ISOLATION ON;
ALTER DATABASE trading SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);
GO
ALTER TABLE sales.customers ENABLE CHANGE_TRACKING;
ALTER TABLE sales.orders ENABLE CHANGE_TRACKING;
ALTER TABLE sales.order_lines ENABLE CHANGE_TRACKING;
ALTER TABLE sales.payments ENABLE CHANGE_TRACKING;
GO
CREATE INDEX ix_products_version ON catalog.products (version);
GO
