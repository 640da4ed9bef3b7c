SELECT id, node, spot, outline, note FROM places ORDER BY id
