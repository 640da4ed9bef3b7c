SELECT * FROM balances ORDER BY id
