SELECT visitor, place FROM visits ORDER BY visitor IS NULL DESC, visitor, place
