-- Fewer and shorter rows. Those that a log already has stay as they are.

-- Most lives of channels have one exchange, and the exchange's row can record such a life completely: the channel closes when the
-- exchange ends, with the reason idle. In such a row, opened_before_ms is how long before the match the channel opened, and life is
-- an id that the table life does not have. In all other rows opened_before_ms is NULL. A life that was recorded before its exchange
-- ended has a row in life.
ALTER TABLE exchange ADD COLUMN opened_before_ms INTEGER;

-- From now on the content_type application/octet-stream, which most exchanges have, is kept as an empty text.

-- As before, but FAIL does not undo the statement, so SQLite need not prepare for that. Rows that a statement has inserted before
-- the one that fails stay.
DROP TRIGGER exchange_insert;

CREATE TRIGGER exchange_insert BEFORE INSERT ON exchange
WHEN EXISTS (SELECT 1 FROM exchange WHERE id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit log is append-only: this exchange is already there'); END;
