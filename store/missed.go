package store

import (
	"context"
	"database/sql"
	"errors"
)

// Missed is what a topic has sent between two points in time.
type Missed struct {
	Count  int64
	Newest string // the id of the newest of these publications; "" if there are none
}

// Missed returns what a topic has published after the publication with the id after, and before the subscription with
// the id before. known is false if the log does not have the first on this topic. It sees the rows that are committed:
// see Log.Sync.
func (h *History) Missed(ctx context.Context, namespace, topic, after, before string) (m Missed, known bool, err error) {
	err = h.with(ctx, func(ctx context.Context, conn *sql.Conn) error {
		err := conn.QueryRowContext(ctx, "SELECT 1 FROM publication WHERE id = ? AND namespace = ? AND topic = ?", after, namespace, topic).Scan(&known)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		// A message that was not sent because its record failed is not missed.
		return conn.QueryRowContext(ctx, `SELECT count(*), coalesce(max(p.id), '')
			FROM publication p INDEXED BY publication_topic LEFT JOIN publication_end x ON x.id = CASE WHEN p.ended_at IS NULL THEN p.id END
			WHERE p.namespace = ?1 AND p.topic = ?2 AND p.id > ?3 AND p.id < ?4
			  AND NOT (coalesce(p.outcome, x.outcome, '') = 'unrecorded' AND coalesce(p.delivered, x.delivered) = 0)`,
			namespace, topic, after, before).Scan(&m.Count, &m.Newest)
	})
	return m, known, err
}
