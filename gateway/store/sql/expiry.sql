-- find_expired: what waits and is of no use any more, first expired first; due or not
SELECT event, n, target, claims, expires_at, due IS NULL FROM delivery INDEXED BY delivery_expiry
WHERE state < 2 AND state = 0 AND expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2

-- cancel_expired: it will never be tried again
UPDATE delivery SET state = 4, due = NULL, settled_at = ?3 WHERE event = ?1 AND n = ?2 AND state = 0
RETURNING target, okey

-- append_expiry: the row that tells why
INSERT INTO attempt(event, n, try, started_at, took_ms, outcome, reason) VALUES (?, ?, ?, ?, 0, 7, ?)
