-- Fewer and shorter rows. Those that a log already has stay as they are.

-- Most lives of channels have one exchange, and all that there is to record about such a life follows from the exchange's row: it
-- closes when the exchange ends, with the reason idle. For these, opened_before_ms is how long before the match the channel opened,
-- and life is an id that the table life does not have. In all other exchanges it is NULL. A life that was recorded before its
-- exchange ended has a row.
ALTER TABLE exchange ADD COLUMN opened_before_ms INTEGER;

-- From now on the content_type application/octet-stream, which most exchanges have, is kept as an empty text.

-- As before, but FAIL does not undo the statement, so SQLite need not prepare for that. What a statement has inserted before the
-- row that fails stays.
DROP TRIGGER exchange_insert;

CREATE TRIGGER exchange_insert BEFORE INSERT ON exchange
WHEN EXISTS (SELECT 1 FROM exchange WHERE id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit log is append-only: this exchange is already there'); END;
