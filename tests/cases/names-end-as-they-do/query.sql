SELECT i."preis€ ", l."menge
", l."ort	", p."name " FROM excel_import AS i, excel_lines AS l, "plain " AS p
