-- find_ahead: a target's deliveries that are due after a place in their line, earliest first
SELECT due, event, n FROM delivery INDEXED BY delivery_due
WHERE state = 0 AND due IS NOT NULL AND target = ?1 AND (due, event, n) > (?2, ?3, ?4) ORDER BY due, event, n LIMIT ?5

-- move_one: it waits as long as before the step
UPDATE delivery SET due = max(?3, due - ?4) WHERE event = ?1 AND n = ?2 AND state = 0

-- move_all: the same for every delivery that waits
UPDATE delivery SET due = max(?1, due - ?2) WHERE state = 0 AND due > ?1

-- move_gates: a gate's probe waits as long as before the step
UPDATE gate SET until = max(?1, until - ?2) WHERE until > ?1

-- read_wall: the latest time by which something was written
SELECT wall_ms FROM meta WHERE id = 1

-- save_wall: keep it
UPDATE meta SET wall_ms = ?1 WHERE id = 1

-- find_behind: a target's deliveries due before a place in their line, latest first, but for those of the time after the step
SELECT due, event, n FROM delivery INDEXED BY delivery_due
WHERE state = 0 AND due IS NOT NULL AND target = ?1 AND due > ?2 AND NOT due BETWEEN ?3 AND ?4
AND (due, event, n) < (?5, ?6, ?7) ORDER BY due DESC, event DESC, n DESC LIMIT ?8

-- move_one_on: it waits as long as before the step
UPDATE delivery SET due = due + ?3 WHERE event = ?1 AND n = ?2 AND state = 0

-- find_expiring_latest_first: deliveries that had not expired before a step forward
SELECT expires_at, event, n FROM delivery INDEXED BY delivery_expiry
WHERE state < 2 AND expires_at IS NOT NULL AND expires_at > ?1 AND (expires_at, event, n) < (?2, ?3, ?4)
ORDER BY expires_at DESC, event DESC, n DESC LIMIT ?5

-- find_expiring_first_first: deliveries that had not expired before a step back
SELECT expires_at, event, n FROM delivery INDEXED BY delivery_expiry
WHERE state < 2 AND expires_at IS NOT NULL AND expires_at > ?1 AND (expires_at, event, n) > (?2, ?3, ?4)
ORDER BY expires_at, event, n LIMIT ?5

-- move_expiry_of_one: it is of use as long as before the step
UPDATE delivery SET expires_at = expires_at + ?3 WHERE event = ?1 AND n = ?2
AND NOT coalesce(planned_at, (SELECT accepted_at FROM event WHERE id = ?1), 0) BETWEEN ?4 AND ?5

-- move_all_expiry: the same for every one that had not expired when the store was last open
UPDATE delivery SET expires_at = expires_at - ?2 WHERE state < 2 AND expires_at IS NOT NULL AND expires_at > ?1
