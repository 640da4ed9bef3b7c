SELECT id, seat FROM seats ORDER BY 1
