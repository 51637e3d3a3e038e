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
