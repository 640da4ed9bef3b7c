-- A day of business: new orders with their lines and payments, goods sent, customers who moved on, a price that was wrong.
INSERT INTO sales.orders (order_id, customer_id, employee_id, ordered_at, wanted_by, status, currency, rush, reference, comment)
SELECT 150001 + n, n * 11 % 20000 + 1, n % 400, CAST('2026-03-02T09:00:00' AS datetime), NULL, 'O', N'EUR', 0,
    CAST(CONCAT(RIGHT(CONCAT('00000000', n), 8), '-0000-4000-9000-000000000000') AS uniqueidentifier), N'new today'
FROM tools.numbers
WHERE n < 400
ORDER BY n;
INSERT INTO sales.order_lines (order_id, line_no, product_id, quantity, unit_price, discount)
SELECT 150001 + n / 3, n % 3 + 1, n * 17 % 3000 + 1, n % 9 + 1, 12.5, 0
FROM tools.numbers
WHERE n < 1200
ORDER BY n;
INSERT INTO sales.payments (order_id, paid_at, amount, method, card_digits, receipt)
SELECT 150001 + n, CAST('2026-03-02T11:30:00' AS datetime2(3)), 99.95, 'card', '4242', NULL
FROM tools.numbers
WHERE n < 150
ORDER BY n;
UPDATE sales.orders SET status = 'D' WHERE order_id > 149000 AND order_id <= 149700;
UPDATE sales.customers SET active = 0, notes = N'closed' WHERE customer_id % 400 = 7;
DELETE FROM sales.payments WHERE payment_id % 5000 = 3;
UPDATE catalog.products SET list_price = list_price + 1 WHERE product_id % 100 = 5;
GO
