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

-- rename_note: it bears the name of something that has another one now
UPDATE OR REPLACE note SET name = ?2 WHERE name = ?1

-- drop_note: it is needed no more
DELETE FROM note WHERE name = ?
