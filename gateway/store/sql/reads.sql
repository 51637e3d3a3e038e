-- event: one event with its request
SELECT e.id, s.text, c.text, t.text, v.text, e.occurred_at, e.accepted_at, r.head, r.body, e.part
FROM event e JOIN name s ON s.id = e.source JOIN name c ON c.id = e.credential JOIN name t ON t.id = e.type
JOIN name v ON v.id = e.version LEFT JOIN request r ON r.id = e.request WHERE e.id = ?1

-- events: a page of events, newest first
SELECT e.id, s.text, c.text, t.text, v.text, e.accepted_at, e.occurred_at, e.hold,
  (SELECT count(*) FROM delivery d WHERE d.event = e.id),
  (SELECT count(*) FROM delivery d WHERE d.event = e.id AND d.state < 2),
  (SELECT count(*) FROM delivery d WHERE d.event = e.id AND d.state = 3),
  e.replaces
FROM event e JOIN name s ON s.id = e.source JOIN name c ON c.id = e.credential JOIN name t ON t.id = e.type
JOIN name v ON v.id = e.version
WHERE e.id < :before AND (:source IS NULL OR s.text = :source) AND (:type IS NULL OR t.text GLOB :type)
AND (:hold IS NULL OR e.hold = :hold) ORDER BY e.id DESC LIMIT :limit

-- deliveries: a page of deliveries in any state but dead, newest first
SELECT d.event, d.n, s.text, t.text, r.text, g.text, d.state, d.due, d.attempts, d.claims, d.interrupted, d.settled_at, d.replay,
  (SELECT a.reason FROM attempt a WHERE a.event = d.event AND a.n = d.n ORDER BY a.try DESC LIMIT 1),
  CASE WHEN d.state = 0 AND d.due IS NULL THEN coalesce(
    (SELECT b.event || ':' || b.n FROM delivery b INDEXED BY delivery_line WHERE b.okey IS NOT NULL
      AND b.state NOT IN (2, 4) AND b.target = d.target AND b.okey = d.okey AND b.state = 3 AND b.due IS NULL
      AND (b.event, b.n) < (d.event, d.n) AND (SELECT blocks FROM ordering o WHERE o.target = d.target)
      ORDER BY b.event, b.n LIMIT 1),
    (SELECT b.event || ':' || b.n FROM delivery b INDEXED BY delivery_line WHERE b.okey IS NOT NULL
      AND b.state NOT IN (2, 4) AND b.target = d.target AND b.okey = d.okey AND b.state = 1 LIMIT 1),
    (SELECT b.event || ':' || b.n FROM delivery b INDEXED BY delivery_line WHERE b.okey IS NOT NULL
      AND b.state NOT IN (2, 4) AND b.target = d.target AND b.okey = d.okey AND b.state = 0 AND b.due IS NOT NULL
      LIMIT 1)) END,
  d.expires_at
FROM delivery d JOIN event e ON e.id = d.event JOIN name s ON s.id = e.source JOIN name t ON t.id = e.type
JOIN name r ON r.id = d.route JOIN name g ON g.id = d.target
WHERE d.event BETWEEN :low AND :high AND (d.event < :before OR d.n > :after) AND (:target IS NULL OR g.text = :target)
AND (:source IS NULL OR s.text = :source) AND (:state IS NULL OR d.state = :state) ORDER BY d.event DESC, d.n LIMIT :limit

-- dead_deliveries: a page of dead deliveries of one target, newest first
SELECT d.event, d.n, s.text, t.text, r.text, g.text, d.state, d.due, d.attempts, d.claims, d.interrupted, d.settled_at, d.replay,
  (SELECT a.reason FROM attempt a WHERE a.event = d.event AND a.n = d.n ORDER BY a.try DESC LIMIT 1),
  NULL, d.expires_at
FROM delivery d INDEXED BY delivery_dead JOIN event e ON e.id = d.event JOIN name s ON s.id = e.source
JOIN name t ON t.id = e.type JOIN name r ON r.id = d.route JOIN name g ON g.id = d.target
WHERE d.state = 3 AND d.target = (SELECT id FROM name WHERE kind = 6 AND text = :target)
AND d.event BETWEEN :low AND :high AND (d.event < :before OR d.n > :after) AND (:source IS NULL OR s.text = :source)
ORDER BY d.event DESC, d.n LIMIT :limit

-- attempts: the tries of one delivery
SELECT started_at, took_ms, outcome, reason FROM attempt WHERE event = ?1 AND n = ?2 ORDER BY try

-- gates: all closed gates
SELECT g.text, gate.kind, since, until, reason FROM gate JOIN name g ON g.id = gate.target ORDER BY g.text, gate.kind

-- notes: small things of other parts by the beginning of their names
SELECT name, value FROM note WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name

-- any_expired: whether anything waits that is of no use any more
SELECT 1 FROM delivery INDEXED BY delivery_expiry
WHERE state < 2 AND state = 0 AND expires_at IS NOT NULL AND expires_at <= ?1 LIMIT 1
