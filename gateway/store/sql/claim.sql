-- find_due: what is due of a target, oldest first, with all that delivering it needs; of replays (a live event of whose key does not wait for it) or not, among the first ?5
SELECT d.event, d.n, d.route, d.claims, d.attempts, d.interrupted, d.progress, e.accepted_at, d.waited, d.expires_at,
  e.source, e.credential, e.type, e.version, e.occurred_at, r.head, r.body, e.part
FROM (SELECT event, n, route, target, claims, attempts, interrupted, progress, waited, expires_at, replay, okey
  FROM delivery INDEXED BY delivery_due
  WHERE state = 0 AND due IS NOT NULL AND target = ?1 AND due <= ?2 ORDER BY due LIMIT ?5) d
CROSS JOIN event e ON e.id = d.event LEFT JOIN request r ON r.id = e.request
WHERE CASE WHEN d.replay IS NULL THEN 0 WHEN d.okey IS NULL THEN 1 ELSE NOT EXISTS (
  SELECT 1 FROM (SELECT w.replay FROM delivery w INDEXED BY delivery_line WHERE w.okey IS NOT NULL AND w.state NOT IN (2, 4)
    AND w.target = d.target AND w.okey = d.okey AND w.state = 0 AND w.due IS NULL ORDER BY w.event DESC, w.n DESC LIMIT 8)
  WHERE replay IS NULL) END = ?4 LIMIT ?3

-- take_due: make the chosen ones ours
WITH chosen(event, n) AS (VALUES :rows)
UPDATE delivery SET state = 1, due = NULL, epoch = (SELECT epoch FROM meta), claims = claims + 1
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n AND delivery.state = 0

-- next_due: when the next delivery of a target is due
SELECT due FROM delivery WHERE state = 0 AND due IS NOT NULL AND target = ?1 ORDER BY due LIMIT 1
