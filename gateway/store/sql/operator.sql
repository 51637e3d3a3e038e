-- find_bound: how far one step over the deliveries goes
SELECT event FROM delivery WHERE event >= ?1 AND event <= ?2 ORDER BY event, n LIMIT 1 OFFSET ?3

-- find_dead_bound: the same over what is dead for one target
SELECT event FROM delivery INDEXED BY delivery_dead
WHERE state = 3 AND target = ?4 AND event >= ?1 AND event <= ?2 ORDER BY event, n LIMIT 1 OFFSET ?3

-- select_deliveries: those of a stretch that fit, oldest first
SELECT d.event, d.n FROM delivery d CROSS JOIN event e ON e.id = d.event
CROSS JOIN name s ON s.id = e.source CROSS JOIN name t ON t.id = e.type
WHERE d.event BETWEEN :low AND :high AND (d.event > :event OR d.n > :n) AND (:only IS NULL OR d.n = :only)
AND d.state IN (:state1, :state2) AND (:target IS NULL OR d.target = :target)
AND (:source IS NULL OR s.text = :source) AND (:type IS NULL OR t.text GLOB :type) AND (:replay IS NULL OR d.replay = :replay)
AND ((:outcome IS NULL AND :reason IS NULL) OR EXISTS (
  SELECT 1 FROM attempt a WHERE a.event = d.event AND a.n = d.n
  AND a.try = (SELECT max(l.try) FROM attempt l WHERE l.event = d.event AND l.n = d.n)
  AND (:outcome IS NULL OR a.outcome = :outcome) AND (:reason IS NULL OR instr(lower(a.reason), lower(:reason)) > 0)))
ORDER BY d.event, d.n LIMIT :limit

-- select_dead: the same of what is dead for one target
SELECT d.event, d.n FROM delivery d INDEXED BY delivery_dead CROSS JOIN event e ON e.id = d.event
CROSS JOIN name s ON s.id = e.source CROSS JOIN name t ON t.id = e.type
WHERE d.state = 3 AND d.target = :target AND d.event BETWEEN :low AND :high AND (d.event > :event OR d.n > :n)
AND (:only IS NULL OR d.n = :only)
AND (:source IS NULL OR s.text = :source) AND (:type IS NULL OR t.text GLOB :type) AND (:replay IS NULL OR d.replay = :replay)
AND ((:outcome IS NULL AND :reason IS NULL) OR EXISTS (
  SELECT 1 FROM attempt a WHERE a.event = d.event AND a.n = d.n
  AND a.try = (SELECT max(l.try) FROM attempt l WHERE l.event = d.event AND l.n = d.n)
  AND (:outcome IS NULL OR a.outcome = :outcome) AND (:reason IS NULL OR instr(lower(a.reason), lower(:reason)) > 0)))
ORDER BY d.event, d.n LIMIT :limit

-- find_event_bound: how far one step over the events goes
SELECT id FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT 1 OFFSET ?3

-- count_events: those of a stretch that fit
SELECT count(*) FROM event e CROSS JOIN name s ON s.id = e.source CROSS JOIN name t ON t.id = e.type
WHERE e.id > :after AND e.id <= :last AND (:source IS NULL OR s.text = :source) AND (:without IS NULL OR s.text <> :without)
AND (:type IS NULL OR t.text GLOB :type) AND (:hold IS NULL OR e.hold = :hold)

-- select_events: those of a stretch that fit, oldest first, with their requests
SELECT e.id, s.text, c.text, t.text, v.text, e.occurred_at, e.accepted_at, r.head, r.body, e.part
FROM event e CROSS JOIN name s ON s.id = e.source CROSS JOIN name c ON c.id = e.credential CROSS JOIN name t ON t.id = e.type
CROSS JOIN name v ON v.id = e.version LEFT JOIN request r ON r.id = e.request
WHERE e.id > :after AND e.id <= :last AND (:source IS NULL OR s.text = :source) AND (:without IS NULL OR s.text <> :without)
AND (:type IS NULL OR t.text GLOB :type) AND (:hold IS NULL OR e.hold = :hold) ORDER BY e.id LIMIT :limit

-- targets_of: where an event was to go so far
SELECT g.text FROM delivery d JOIN name g ON g.id = d.target WHERE d.event = ?1 GROUP BY d.target ORDER BY min(d.n)

-- revive: dead deliveries are due again
WITH chosen(event, n, due) AS (VALUES :rows)
UPDATE delivery SET state = 0, due = chosen.due, attempts = 0, waited = 0, settled_at = NULL
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n AND delivery.state = 3 RETURNING target, okey

-- find_cancellable: those that are pending or dead
WITH chosen(event, n) AS (VALUES :rows)
SELECT d.event, d.n, d.target, d.state, d.claims, d.state = 0 AND d.due IS NULL, d.okey FROM chosen
JOIN delivery d ON d.event = chosen.event AND d.n = chosen.n WHERE d.state IN (0, 3)

-- cancel: they will never be tried again
WITH chosen(event, n, now) AS (VALUES :rows)
UPDATE delivery SET state = 4, due = NULL, settled_at = chosen.now
FROM chosen WHERE delivery.event = chosen.event AND delivery.n = chosen.n

-- append_cancellations: the attempt rows that tell why
INSERT INTO attempt(event, n, try, started_at, took_ms, outcome, reason)
SELECT column1, column2, column3, column4, 0, 7, column5 FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- begin_replay: keep a new one, of what is there now
INSERT INTO replay(id, asked_at, who, plan, state, position, last, events, added, left_out, passed_over, ended_at, reason)
SELECT ?1, ?2, ?3, ?4, 0, 0, coalesce(max(id), 0), 0, 0, 0, 0, NULL, '' FROM event

-- find_running: whether a replay goes on
SELECT 1 FROM replay WHERE id = ?1 AND state = 0

-- find_numbers: the next number of each event of a step, if its payload is there and it is held so, and whether this replay was there
WITH chosen(event, replay, hold) AS (VALUES :rows)
SELECT chosen.event, e.source, coalesce(max(d.n) + 1, 0), coalesce(max(d.replay IS chosen.replay), 0)
FROM chosen JOIN event e ON e.id = chosen.event JOIN request r ON r.id = e.request
LEFT JOIN delivery d ON d.event = chosen.event
WHERE (e.part IS NOT NULL OR r.body IS NOT NULL) AND (chosen.hold IS NULL OR e.hold = chosen.hold) GROUP BY chosen.event

-- insert_replayed: linked deliveries that are due
INSERT INTO delivery(event, n, route, target, state, due, replay, expires_at, planned_at, okey)
SELECT column1, column2, column3, column4, 0, column5, column6, column7, column8, column9 FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- find_replaced: dead deliveries of events to targets that get them anew
WITH chosen(event, target) AS (VALUES :rows)
SELECT d.event, d.n, d.target, d.claims, d.okey FROM chosen
CROSS JOIN delivery d ON d.event = chosen.event AND d.target = chosen.target WHERE d.state = 3 AND d.okey IS NOT NULL

-- release_holds: events that have deliveries are not held
UPDATE event SET hold = NULL WHERE id IN (:ids) AND hold IS NOT NULL

-- advance_replay: how far it has come
UPDATE replay SET position = ?2, events = events + ?3, added = added + ?4, left_out = left_out + ?5,
  passed_over = passed_over + ?6, state = ?7, ended_at = ?8 WHERE id = ?1

-- cancel_replay: it goes no further
UPDATE replay SET state = 2, ended_at = ?2, reason = ?3 WHERE id = ?1 AND state = 0

-- running_plans: what goes on
SELECT id, plan FROM replay WHERE state = 0

-- plan_anew: what it goes by has another name
UPDATE replay SET plan = ?2 WHERE id = ?1

-- replays: all of them, newest first
SELECT id, asked_at, who, plan, state, position, last, events, added, left_out, passed_over, ended_at, reason
FROM replay WHERE ?1 IS NULL OR state = ?1 ORDER BY asked_at DESC, id LIMIT ?2

-- replay: one of them
SELECT id, asked_at, who, plan, state, position, last, events, added, left_out, passed_over, ended_at, reason
FROM replay WHERE id = ?1

-- audit: what was done by hand, newest first
SELECT id, at, who, action, subject, count, reason FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2

-- add_to_audit: the same again by the same person is one entry
UPDATE audit SET count = count + ?1 WHERE id = (SELECT max(id) FROM audit)
AND who = ?2 AND action = ?3 AND subject = ?4 AND reason = ?5 AND at > ?6

-- append_audit: who changed what by hand
INSERT INTO audit(at, who, action, subject, count, reason) VALUES (?, ?, ?, ?, ?, ?)
