-- next_epoch: the number of this process's ownership
UPDATE meta SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch

-- note_interrupted: claims that ended without an outcome because their process did
INSERT INTO attempt(event, n, try, started_at, took_ms, outcome, reason)
SELECT event, n, claims, ?2, 0, 6, 'the process ended while this was being delivered' FROM delivery WHERE state = 1 AND epoch <> ?1

-- free_interrupted: make them due again, later each time: at once, then 30 s, 1 min, … 10 min
UPDATE delivery SET state = 0, epoch = NULL, interrupted = interrupted + 1,
  due = ?2 + CASE WHEN interrupted = 0 THEN 0 ELSE min(30000 << min(interrupted - 1, 5), 600000) END
WHERE state = 1 AND epoch <> ?1

-- interrupted_keys: the keys of what dead processes had in flight
SELECT DISTINCT target, okey FROM delivery WHERE state = 1 AND epoch <> ?1 AND okey IS NOT NULL

-- last_event: the highest event id ever given; retention keeps that row
SELECT coalesce(max(id), 0) FROM event

-- count_pending: what waits for each target
SELECT (SELECT text FROM name WHERE id = target), count(*), min(due) FROM delivery INDEXED BY delivery_due
WHERE state = 0 AND due IS NOT NULL GROUP BY target

-- count_waiting: what waits for another of its key
SELECT (SELECT text FROM name WHERE id = target), count(*) FROM delivery INDEXED BY delivery_line
WHERE okey IS NOT NULL AND state NOT IN (2, 4) AND state = 0 AND due IS NULL GROUP BY target

-- count_dead: what each target will get only if the operator says so
SELECT (SELECT text FROM name WHERE id = target), count(*) FROM delivery INDEXED BY delivery_dead WHERE state = 3 GROUP BY target

-- check_meta: the one row that must be there
SELECT count(*), max(id) FROM meta
