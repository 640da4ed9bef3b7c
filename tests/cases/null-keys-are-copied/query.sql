SELECT visitor, place FROM visits ORDER BY visitor NULLS FIRST, place
