SELECT id, at AT TIME ZONE 'UTC', at_offset, short AT TIME ZONE 'UTC', short_offset, wall, old FROM departures ORDER BY id
