-- write_states: the next states of deliveries that are still ours
WITH new(event, n, claims, state, due, attempts, progress, settled_at, waited) AS (VALUES :rows)
UPDATE delivery SET state = new.state, due = new.due, attempts = new.attempts, progress = new.progress,
  settled_at = new.settled_at, waited = new.waited, epoch = NULL
FROM new WHERE delivery.event = new.event AND delivery.n = new.n AND delivery.claims = new.claims
AND delivery.state = 1 AND +delivery.epoch = (SELECT epoch FROM meta)

-- append_attempts: the tries that were made
INSERT INTO attempt(event, n, try, started_at, took_ms, outcome, reason)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- find_target: the number of the target that a delivery is for
SELECT target FROM delivery WHERE event = ? AND n = ?
