INSERT INTO tickets (subject) VALUES ('four'); SELECT id > 20 AND id <= 25 FROM tickets WHERE subject = 'four'
