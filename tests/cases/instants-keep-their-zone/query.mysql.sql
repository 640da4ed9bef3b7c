SELECT * FROM departures ORDER BY id
