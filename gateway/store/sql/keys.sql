-- find_keys: what one generation knows of some keys
SELECT key, digest, event FROM :generation WHERE key IN (:ids)

-- insert_keys: the new keys of one group commit
INSERT INTO :generation(key, digest, event)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- create_generation: an empty table of keys; a key has a second row only after a conflict
CREATE TABLE :generation(key BLOB NOT NULL, digest BLOB NOT NULL, event INTEGER NOT NULL, PRIMARY KEY (key, digest)) STRICT, WITHOUT ROWID

-- add_generation: note a new generation
INSERT INTO generation(started) VALUES (?) RETURNING id

-- seal_generation: nothing more is added to it
UPDATE generation SET sealed = ? WHERE id = ?

-- list_generations: all that are known, oldest first
SELECT id, started, sealed FROM generation ORDER BY id

-- load_filter: the filter of a sealed generation
SELECT filter FROM generation WHERE id = ?

-- save_filter: keep the filter of a sealed generation for the next start
UPDATE generation SET filter = ? WHERE id = ?

-- count_keys: how many keys a generation holds, at most
SELECT count(*) FROM :generation

-- scan_keys: the keys of a generation in order, a slice at a time
SELECT key FROM :generation WHERE key > ? ORDER BY key LIMIT ?

-- trim_generation: empty an expired generation a slice at a time
DELETE FROM :generation WHERE key <= (SELECT max(key) FROM (SELECT key FROM :generation ORDER BY key LIMIT ?))

-- drop_generation: the table of an expired, emptied generation
DROP TABLE :generation

-- forget_generation: the note of an expired generation
DELETE FROM generation WHERE id = ?

-- read_clock: the de-dup clock as it was last saved
SELECT dedup_ms FROM meta WHERE id = 1

-- save_clock: the de-dup clock, for the next start
UPDATE meta SET dedup_ms = ? WHERE id = 1
