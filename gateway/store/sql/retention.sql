-- scan_requests: requests in order: bytes left to take, last event, whether any delivery is unsettled (2) or dead (1)
SELECT r.id, r.size + sum(coalesce(length(e.part), 0)), max(e.id), coalesce(max((SELECT max(CASE WHEN d.state < 2 THEN 2 WHEN d.state = 3 THEN 1 ELSE 0 END)
  FROM delivery d WHERE d.event = e.id)), 0)
FROM (SELECT id, length(head) + coalesce(length(body), 0) AS size,
    coalesce((SELECT min(later.id) FROM request later WHERE later.id > request.id), 9223372036854775807) AS next
  FROM request WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3) r
CROSS JOIN event e ON e.id >= r.id AND e.id < r.next GROUP BY r.id ORDER BY r.id

-- scan_again: the same of some requests
SELECT r.id, r.size + sum(coalesce(length(e.part), 0)), max(e.id), coalesce(max((SELECT max(CASE WHEN d.state < 2 THEN 2 WHEN d.state = 3 THEN 1 ELSE 0 END)
  FROM delivery d WHERE d.event = e.id)), 0)
FROM (SELECT id, length(head) + coalesce(length(body), 0) AS size,
    coalesce((SELECT min(later.id) FROM request later WHERE later.id > request.id), 9223372036854775807) AS next
  FROM request WHERE id IN (:ids)) r
CROSS JOIN event e ON e.id >= r.id AND e.id < r.next GROUP BY r.id ORDER BY r.id

-- requests_of: the requests of events
SELECT DISTINCT request FROM event WHERE id IN (:ids)

-- blank_requests: take heads and bodies
UPDATE request SET head = x'', body = NULL WHERE id IN (:ids)

-- blank_parts: take the payloads of events that were parts of their requests
UPDATE event SET part = NULL WHERE id BETWEEN ? AND ? AND part IS NOT NULL

-- count_dead_between: dead deliveries that go with their events
SELECT target, count(*) FROM delivery WHERE event BETWEEN ? AND ? AND state = 3 GROUP BY target

-- keys_of_dead_between: the keys that dead deliveries which go may have blocked
SELECT DISTINCT target, okey FROM delivery WHERE event BETWEEN ? AND ? AND state = 3 AND okey IS NOT NULL

-- forget_attempts: of events that go
DELETE FROM attempt WHERE event BETWEEN ? AND ?

-- forget_deliveries: of events that go
DELETE FROM delivery WHERE event BETWEEN ? AND ?

-- forget_events: of requests that go
DELETE FROM event WHERE id BETWEEN ? AND ?

-- forget_requests: the raw messages
DELETE FROM request WHERE id BETWEEN ? AND ?

-- forget_audit: entries that are older than the metadata
DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY id LIMIT ?)

-- forget_replays: those that ended before; an id is then free again
DELETE FROM replay WHERE id IN (SELECT id FROM replay WHERE ended_at < ? LIMIT ?)
