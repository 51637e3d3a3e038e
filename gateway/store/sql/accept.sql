-- insert_requests: the raw messages of one group commit
INSERT INTO request(id, head, body)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- insert_events: the events of one group commit
INSERT INTO event(id, request, source, credential, type, version, accepted_at, occurred_at, hold, replaces, part)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- insert_deliveries: the deliveries of one group commit, claimed by this process or due
INSERT INTO delivery(event, n, route, target, state, due, epoch, claims, expires_at, okey)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- find_repeats_to_act_on: of events that were sent again, those with dead deliveries and those that no route had taken
SELECT e.id, e.hold FROM event e WHERE e.id IN (:ids)
AND (e.hold = 1 OR EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.id AND d.state = 3))

-- revive_event: make the dead deliveries of one event due again
UPDATE delivery SET state = 0, due = ?2, attempts = 0, waited = 0, settled_at = NULL WHERE event = ?1 AND state = 3
RETURNING target, okey

-- next_number: the number for the next delivery of an event
SELECT coalesce(max(n) + 1, 0) FROM delivery WHERE event = ?1

-- plan_delivery: add one due delivery to a stored event
INSERT INTO delivery(event, n, route, target, state, due, expires_at, planned_at, okey) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)

-- source_of: whose event it is
SELECT source FROM event WHERE id = ?1

-- release_hold: an event that has deliveries is not held
UPDATE event SET hold = NULL WHERE id = ?1
