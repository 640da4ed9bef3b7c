SELECT id, name FROM person UNION ALL SELECT rating, 'likes' FROM likes ORDER BY 1
