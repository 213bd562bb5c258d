package store

import (
	"context"
	"fmt"
)

// topicsSince is the schema version that introduced topics.
const topicsSince = 5

// topicRules are the consistencyRules for topics.
var topicRules = []consistencyRule{
	{"publications have no end although their run is over", withoutEnd("publication")},
	{"publications have two ends", withTwoEnds("publication")},
	{"ends of publications have no beginning", endWithoutBeginning("publication")},
	{"subscriptions have no end although their run is over", withoutEnd("subscription")},
	{"subscriptions have two ends", withTwoEnds("subscription")},
	{"ends of subscriptions have no beginning", endWithoutBeginning("subscription")},
}

func withoutEnd(table string) string {
	return fmt.Sprintf(`SELECT count(*), min(b.id) FROM %[1]s b LEFT JOIN %[1]s_end x ON x.id = b.id
		WHERE b.ended_at IS NULL AND x.id IS NULL AND b.run NOT IN (CURRENT)`, table)
}

func withTwoEnds(table string) string {
	return fmt.Sprintf("SELECT count(*), min(b.id) FROM %[1]s_end x JOIN %[1]s b ON b.id = x.id WHERE b.ended_at IS NOT NULL", table)
}

func endWithoutBeginning(table string) string {
	return fmt.Sprintf("SELECT count(*), min(x.id) FROM %[1]s_end x LEFT JOIN %[1]s b ON b.id = x.id WHERE b.id IS NULL", table)
}

// countTopics fills in the counts of publications and subscriptions.
func (r *reader) countTopics(ctx context.Context, report *Report) error {
	if report.Schema < topicsSince {
		return nil
	}
	const open = " AND p.ended_at IS NULL AND x.id IS NULL"
	return r.queryRow(ctx, r.expand(`SELECT (SELECT count(*) FROM publication), (SELECT count(*) FROM subscription),
		(SELECT count(*) FROM publication p LEFT JOIN publication_end x ON x.id = p.id WHERE p.run IN (CURRENT)`+open+`) +
		(SELECT count(*) FROM subscription p LEFT JOIN subscription_end x ON x.id = p.id WHERE p.run IN (CURRENT)`+open+")"),
		&report.Publications, &report.Subscriptions, &report.OpenOnTopics)
}
