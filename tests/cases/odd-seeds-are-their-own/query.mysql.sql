INSERT INTO by_ten (v) VALUES (99);
SELECT (SELECT MAX(id) > 20 FROM by_ten), (SELECT MIN(id) FROM down), (SELECT MAX(id) FROM big_dec)
