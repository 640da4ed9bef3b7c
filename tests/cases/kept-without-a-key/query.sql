SELECT count(*), count(what), (SELECT count(*) FROM latest) FROM events
