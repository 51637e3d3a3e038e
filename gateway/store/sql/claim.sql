-- find_due: the deliveries of a target that are due, oldest first, each with all that delivering it needs; of replays, or not
SELECT d.event, d.n, d.route, d.claims, d.attempts, d.interrupted, d.progress, e.accepted_at, d.waited, d.expires_at,
  e.source, e.credential, e.type, e.version, e.occurred_at, r.head, r.body, e.part
FROM delivery d INDEXED BY delivery_due CROSS JOIN event e ON e.id = d.event LEFT JOIN request r ON r.id = e.request
WHERE d.state = 0 AND d.due IS NOT NULL AND d.target = ?1 AND d.due <= ?2
AND (d.replay IS NOT NULL) = ?4 ORDER BY d.due LIMIT ?3

-- take_due: make the chosen ones ours
WITH chosen(event, n) AS (VALUES :rows)
UPDATE delivery SET state = 1, due = NULL, epoch = (SELECT epoch FROM meta), claims = claims + 1
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n AND delivery.state = 0

-- next_due: when the next delivery of a target is due
SELECT due FROM delivery WHERE state = 0 AND due IS NOT NULL AND target = ?1 ORDER BY due LIMIT 1
