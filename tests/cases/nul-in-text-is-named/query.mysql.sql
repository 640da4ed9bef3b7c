SELECT id, HEX(body) FROM notes
