SELECT what FROM audit_log UNION ALL SELECT id || name FROM items UNION ALL SELECT id || kind FROM checked UNION ALL SELECT id || 'late' FROM late ORDER BY 1
