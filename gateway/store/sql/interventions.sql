-- revive_dead: the operator sends dead deliveries again, newest first
UPDATE delivery SET state = 0, due = :now, attempts = 0, waited = 0, settled_at = NULL WHERE (event, n) IN (
  SELECT event, n FROM delivery INDEXED BY delivery_dead WHERE state = 3 AND (:target IS NULL OR target = :target)
  AND (:event IS NULL OR event = :event) AND event <= :upto ORDER BY event DESC, n DESC LIMIT :limit)
RETURNING target, okey

-- select_cancellable: pending and dead deliveries, newest first
SELECT event, n, target, state, claims, state = 0 AND due IS NULL, okey FROM delivery WHERE state IN (0, 3) AND (:state IS NULL OR state = :state)
AND (:target IS NULL OR target = :target) AND (:event IS NULL OR event = :event) AND event <= :upto
ORDER BY event DESC, n DESC LIMIT :limit

-- cancel_delivery: it will never be tried again
UPDATE delivery SET state = 4, due = NULL, settled_at = ?3 WHERE event = ?1 AND n = ?2

-- append_cancellation: the audit row of a cancelled delivery
INSERT INTO attempt(event, n, try, started_at, took_ms, outcome, reason) VALUES (?, ?, ?, ?, 0, 7, ?)

-- find_event: whether an event is still there
SELECT 1 FROM event WHERE id = ?1

-- find_replay: whether a replay was carried out before
SELECT 1 FROM delivery WHERE event = ?1 AND replay = ?2

-- append_audit: who changed what by hand
INSERT INTO audit(at, action, subject, count, reason) VALUES (?, ?, ?, ?, ?)

-- find_name: the number of a name
SELECT id FROM name WHERE kind = ?1 AND text = ?2

-- rename: let a number stand for another text
UPDATE name SET text = ?2 WHERE id = ?1

-- close_gate: close a gate, or change why and until when
INSERT INTO gate(target, kind, since, until, reason) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (target, kind) DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason

-- probe: a write that SQLite cannot skip as one that changes nothing
UPDATE meta SET probes = probes + 1 WHERE id = 1

-- open_gate: open a gate
DELETE FROM gate WHERE target = ? AND kind = ?

-- keep_note: something small of another part, for the next start
INSERT INTO note(name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- drop_note: it is needed no more
DELETE FROM note WHERE name = ?
