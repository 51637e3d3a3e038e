-- insert_requests: the raw messages of one group commit
INSERT INTO request(id, head, body)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- insert_events: the events of one group commit
INSERT INTO event(id, request, source, credential, type, version, accepted_at, occurred_at, hold, replaces, part)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- insert_deliveries: the deliveries of one group commit, claimed by this process or due
INSERT INTO delivery(event, n, route, target, state, due, epoch, claims, expires_at, okey)
SELECT * FROM (VALUES :rows) WHERE column1 IS NOT NULL
