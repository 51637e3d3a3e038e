-- find_taken: keys whose next delivery must wait: something of theirs is unsettled, or dead where that blocks
WITH line(target, okey, blocks) AS (VALUES :rows)
SELECT target, okey FROM line WHERE target IS NOT NULL AND (
  EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL AND d.state NOT IN (2, 4)
    AND d.target = line.target AND d.okey = line.okey AND d.state = 0)
  OR EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL AND d.state NOT IN (2, 4)
    AND d.target = line.target AND d.okey = line.okey AND d.state = 1)
  OR (blocks AND EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
    AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 3)))

-- find_keys: the keys of some deliveries
WITH chosen(event, n) AS (VALUES :rows)
SELECT DISTINCT d.target, d.okey FROM chosen CROSS JOIN delivery d ON d.event = chosen.event AND d.n = chosen.n
WHERE d.okey IS NOT NULL

-- find_late: what is due although an older one of its key comes first, or another is in flight
WITH line(target, okey, blocks) AS (VALUES :rows)
SELECT h.target, h.event, h.n FROM line CROSS JOIN delivery h INDEXED BY delivery_line
WHERE h.okey IS NOT NULL AND h.state NOT IN (2, 4)
  AND h.target = line.target AND h.okey = line.okey AND h.state = 0 AND h.due IS NOT NULL AND (
    EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL AND d.state NOT IN (2, 4)
      AND d.target = line.target AND d.okey = line.okey AND d.state = 1)
    OR EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL AND d.state NOT IN (2, 4)
      AND d.target = line.target AND d.okey = line.okey AND d.state = 0 AND d.due IS NULL
      AND (d.event, d.n) < (h.event, h.n))
    OR EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL AND d.state NOT IN (2, 4)
      AND d.target = line.target AND d.okey = line.okey AND d.state = 0 AND d.due IS NOT NULL
      AND (d.event, d.n) < (h.event, h.n))
    OR (blocks AND EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
      AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 3 AND d.due IS NULL
      AND (d.event, d.n) < (h.event, h.n))))

-- demote: they wait their turn, and back off no shorter for that
WITH chosen(event, n, now, ahead) AS (VALUES :rows)
UPDATE delivery SET resumes_at = CASE WHEN due > chosen.now THEN due + chosen.ahead END, due = NULL FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n

-- find_next: the oldest that waits, of keys of which nothing is due or in flight, unless a dead one blocks it
WITH line(target, okey, blocks) AS (VALUES :rows)
SELECT w.target, w.event, w.n, w.resumes_at FROM line CROSS JOIN delivery w ON (w.event, w.n) = (
    SELECT d.event, d.n FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL AND d.state NOT IN (2, 4)
    AND d.target = line.target AND d.okey = line.okey AND d.state = 0 AND d.due IS NULL ORDER BY d.event, d.n LIMIT 1)
WHERE NOT EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
    AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 1)
AND NOT EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
    AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 0 AND d.due IS NOT NULL)
AND NOT (blocks AND EXISTS (SELECT 1 FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
    AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 3 AND d.due IS NULL
    AND (d.event, d.n) < (w.event, w.n)))

-- promote: it is their turn
WITH chosen(event, n, due) AS (VALUES :rows)
UPDATE delivery SET due = chosen.due, resumes_at = NULL FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n

-- find_superseded: what waits although a newer event of its key does, each with the newest
WITH line(target, okey) AS (VALUES :rows),
newest(target, okey, event) AS MATERIALIZED (
  SELECT target, okey, max(coalesce((SELECT d.event FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
    AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 0 AND d.due IS NULL
    ORDER BY d.event DESC LIMIT 1), 0),
  coalesce((SELECT max(d.event) FROM delivery d INDEXED BY delivery_line WHERE d.okey IS NOT NULL
    AND d.state NOT IN (2, 4) AND d.target = line.target AND d.okey = line.okey AND d.state = 0 AND d.due IS NOT NULL), 0))
  FROM line WHERE target IS NOT NULL)
SELECT o.event, o.n, o.target, o.claims, o.due IS NULL, newest.event
FROM newest CROSS JOIN delivery o INDEXED BY delivery_line WHERE o.okey IS NOT NULL AND o.state NOT IN (2, 4)
AND o.target = newest.target AND o.okey = newest.okey AND o.state = 0 AND o.event < newest.event LIMIT 500

-- cancel_superseded: a newer one took their place
WITH chosen(event, n, at) AS (VALUES :rows)
UPDATE delivery SET state = 4, due = NULL, settled_at = chosen.at
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n AND delivery.state = 0

-- list_orderings: how targets are ordered
SELECT target, rule, blocks, latest FROM ordering

-- save_ordering: order a target so from now on
INSERT INTO ordering(target, rule, blocks, latest) VALUES (?, ?, ?, ?)
ON CONFLICT (target) DO UPDATE SET rule = excluded.rule, blocks = excluded.blocks, latest = excluded.latest

-- forget_ordering: a target is not ordered any more
DELETE FROM ordering WHERE target = ?

-- find_keyed: some deliveries of a target that have a key, and whether they wait
SELECT event, n, state = 0 AND due IS NULL FROM delivery INDEXED BY delivery_line
WHERE okey IS NOT NULL AND state NOT IN (2, 4) AND target = ? LIMIT ?

-- take_keys: take the keys of deliveries; what waited is due, or backs off as long as it had to
WITH chosen(event, n, now, ahead) AS (VALUES :rows)
UPDATE delivery SET okey = NULL, resumes_at = NULL,
  due = CASE WHEN state = 0 THEN coalesce(due, max(chosen.now, coalesce(resumes_at - chosen.ahead, 0))) END
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n

-- unkeyed_in_flight: a target's deliveries in flight, with their events
SELECT d.event, d.n, d.event, d.state, e.source, e.credential, e.type, e.version, e.occurred_at, e.accepted_at, r.head, r.body, e.part
FROM delivery d INDEXED BY delivery_in_flight CROSS JOIN event e ON e.id = d.event LEFT JOIN request r ON r.id = e.request
WHERE d.state = 1 AND d.epoch = (SELECT epoch FROM meta) AND d.target = ?1 AND d.okey IS NULL
AND (d.event, d.n) > (?3, ?4) ORDER BY d.event, d.n

-- unkeyed_dead: a target's dead deliveries, with their events
SELECT d.event, d.n, d.event, d.state, e.source, e.credential, e.type, e.version, e.occurred_at, e.accepted_at, r.head, r.body, e.part
FROM delivery d INDEXED BY delivery_dead CROSS JOIN event e ON e.id = d.event LEFT JOIN request r ON r.id = e.request
WHERE d.state = 3 AND d.target = ?1 AND d.okey IS NULL AND (d.event, d.n) > (?3, ?4) ORDER BY d.event, d.n

-- unkeyed_pending: a target's deliveries that are or will be due, with their events
SELECT d.event, d.n, d.due, d.state, e.source, e.credential, e.type, e.version, e.occurred_at, e.accepted_at, r.head, r.body, e.part
FROM delivery d INDEXED BY delivery_due CROSS JOIN event e ON e.id = d.event LEFT JOIN request r ON r.id = e.request
WHERE d.state = 0 AND d.due IS NOT NULL AND d.target = ?1 AND d.okey IS NULL
AND (d.due, d.event, d.n) > (?2, ?3, ?4) ORDER BY d.due, d.event, d.n

-- give_keys: put deliveries into the lines of their keys; none has a turn yet
WITH chosen(event, n, okey, now, ahead) AS (VALUES :rows)
UPDATE delivery SET okey = chosen.okey, resumes_at = CASE WHEN due > chosen.now THEN due + chosen.ahead END, due = NULL
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n

-- next_keys: some of a target's keys in order
WITH RECURSIVE line(okey) AS (
  SELECT min(okey) FROM delivery INDEXED BY delivery_line
  WHERE okey IS NOT NULL AND state NOT IN (2, 4) AND target = ?1 AND okey > ?2
  UNION ALL SELECT (SELECT min(okey) FROM delivery INDEXED BY delivery_line
    WHERE okey IS NOT NULL AND state NOT IN (2, 4) AND target = ?1 AND okey > line.okey)
  FROM line WHERE line.okey IS NOT NULL LIMIT ?3)
SELECT okey FROM line WHERE okey IS NOT NULL
