SELECT id, latin || '.', cyrillic || '.', wide || '.', length(fixed), fixed::text || '.' FROM texts ORDER BY id
