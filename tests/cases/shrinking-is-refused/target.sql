CREATE TABLE customers (id integer NOT NULL PRIMARY KEY); INSERT INTO customers SELECT generate_series(1, 10)
