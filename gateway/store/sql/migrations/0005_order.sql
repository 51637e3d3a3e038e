-- 0005: deliveries of one key go to their target one after the other, in order of acceptance.

-- okey: the number of the event's source (4 bytes) and the digest of the key (16); NULL: no key. Of the unsettled
-- deliveries of one target and key only the one whose turn it is has a `due`; the others wait without.
ALTER TABLE delivery ADD COLUMN okey BLOB CHECK (okey IS NOT NULL OR state <> 0 OR due IS NOT NULL);
CREATE INDEX delivery_line ON delivery(target, okey, state, due, event, n)
WHERE okey IS NOT NULL AND state NOT IN (2, 4);

-- How a target's deliveries are ordered. rule: what gave the keys of all that is not settled; empty while they are
-- computed anew. blocks: a dead delivery stops its key. latest: a newer delivery cancels older ones that wait.
CREATE TABLE ordering(
  target INTEGER PRIMARY KEY,
  rule TEXT NOT NULL,
  blocks INTEGER NOT NULL CHECK (blocks IN (0, 1)),
  latest INTEGER NOT NULL CHECK (latest IN (0, 1))
) STRICT;
