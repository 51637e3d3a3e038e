-- find_repeats_to_act_on: of events that were sent again, those with dead deliveries and those that no route had taken
SELECT e.id, e.hold FROM event e WHERE e.id IN (:ids)
AND (e.hold = 1 OR EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.id AND d.state = 3))

-- revive_event: make the dead deliveries of one event due again: of several to a target the newest, and none that has it or will
UPDATE delivery SET state = 0, due = ?2, attempts = 0, waited = 0, settled_at = NULL WHERE event = ?1 AND state = 3
AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.event = ?1 AND o.target = delivery.target
  AND (o.state IN (0, 1, 2) OR (o.state = 3 AND o.n > delivery.n)))
RETURNING target, okey

-- find_outdone: what is dead and has a key, where a newer delivery of the event to the same target is on its way
SELECT d.event, d.n, d.target, d.claims, d.okey FROM delivery d WHERE d.event = ?1 AND d.state = 3 AND d.okey IS NOT NULL
AND EXISTS (SELECT 1 FROM delivery o WHERE o.event = d.event AND o.target = d.target AND o.n > d.n AND o.state IN (0, 1))

-- next_number: the number for the next delivery of an event
SELECT coalesce(max(n) + 1, 0) FROM delivery WHERE event = ?1

-- plan_delivery: add one due delivery to a stored event
INSERT INTO delivery(event, n, route, target, state, due, expires_at, planned_at, okey) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)

-- source_of: whose event it is
SELECT source FROM event WHERE id = ?1

-- release_hold: an event that has deliveries is not held
UPDATE event SET hold = NULL WHERE id = ?1

-- find_taken: the request of an event from which retention took its message and payload, and those of its neighbours
SELECT e.request, (SELECT n.request FROM event n WHERE n.id < e.id ORDER BY n.id DESC LIMIT 1),
  (SELECT n.request FROM event n WHERE n.id > e.id ORDER BY n.id LIMIT 1)
FROM event e JOIN request r ON r.id = e.request WHERE e.id = ?1 AND r.head = x'' AND r.body IS NULL AND e.part IS NULL

-- restore_request: the message came again
UPDATE request SET head = ?2, body = ?3 WHERE id = ?1

-- restore_part: so did the payload of an event that is a part of its message
UPDATE event SET part = ?2 WHERE id = ?1
