-- From here on the server itself keeps the history of prices.
ALTER TABLE catalog.prices ADD PERIOD FOR SYSTEM_TIME (valid_from, valid_to);
GO
ALTER TABLE catalog.prices SET (SYSTEM_VERSIONING = ON (HISTORY_TABLE = catalog.price_history));
GO
