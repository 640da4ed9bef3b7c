SELECT n.id, n.name, n.body, p.place FROM notes AS n JOIN places AS p USING (id) ORDER BY 1
