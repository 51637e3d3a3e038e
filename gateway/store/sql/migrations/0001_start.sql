-- 0001: requests, events, deliveries, attempts, gates, de-dup generations, names.

-- One row: whose process owns what is in flight, the clock that ages de-dup keys, and a count that every probe changes.
CREATE TABLE meta(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL CHECK (epoch >= 0),
  dedup_ms INTEGER NOT NULL CHECK (dedup_ms >= 0),
  probes INTEGER NOT NULL
) STRICT;
INSERT INTO meta(id, epoch, dedup_ms, probes) VALUES (1, 0, 0, 0);

-- Names of sources, credentials, types, versions, routes and targets, kept once; `kind` is NameKind in names.py.
CREATE TABLE name(
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 6),
  text TEXT NOT NULL,
  UNIQUE (kind, text)
) STRICT;

-- The raw inbound message, once however many events it carried; its id is that of its first event.
CREATE TABLE request(
  id INTEGER PRIMARY KEY,
  head BLOB NOT NULL,
  body BLOB
) STRICT;

-- A verified message; `part` is its own payload where the request was split. hold: 1 unmatched, 2 version, 3 conflict, 4 ignored.
CREATE TABLE event(
  id INTEGER PRIMARY KEY,
  request INTEGER NOT NULL,
  source INTEGER NOT NULL,
  credential INTEGER NOT NULL,
  type INTEGER NOT NULL,
  version INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  occurred_at INTEGER,
  hold INTEGER CHECK (hold BETWEEN 1 AND 4),
  replaces INTEGER CHECK (replaces < id),
  part BLOB,
  CHECK (request <= id)
) STRICT;

-- The duty "this event to this target". state: 0 pending, 1 in_flight, 2 delivered, 3 dead, 4 cancelled (core/lifecycle.py).
CREATE TABLE delivery(
  event INTEGER NOT NULL,
  n INTEGER NOT NULL CHECK (n >= 0),
  route INTEGER NOT NULL,
  target INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
  due INTEGER,
  epoch INTEGER,
  claims INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  interrupted INTEGER NOT NULL DEFAULT 0 CHECK (interrupted >= 0),
  settled_at INTEGER,
  progress BLOB,
  replay TEXT,
  PRIMARY KEY (event, n),
  CHECK (due IS NULL OR state = 0),
  CHECK ((epoch IS NOT NULL) = (state = 1)),
  CHECK ((settled_at IS NOT NULL) = (state >= 2)),
  CHECK (claims >= attempts AND claims >= interrupted)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery(target, due) WHERE state = 0 AND due IS NOT NULL;
CREATE INDEX delivery_in_flight ON delivery(epoch) WHERE state = 1;
CREATE INDEX delivery_dead ON delivery(target, event, n) WHERE state = 3;

-- One try, append-only; `try` is the claim that made it. outcome: OUTCOME_CODES in codes.py.
CREATE TABLE attempt(
  event INTEGER NOT NULL,
  n INTEGER NOT NULL,
  try INTEGER NOT NULL CHECK (try >= 0),
  started_at INTEGER NOT NULL,
  took_ms INTEGER NOT NULL,
  outcome INTEGER NOT NULL CHECK (outcome BETWEEN 1 AND 7),
  reason TEXT NOT NULL,
  PRIMARY KEY (event, n, try)
) STRICT, WITHOUT ROWID;

-- A closed door on a target: one row, whatever waits behind it. kind: GATE_CODES in codes.py.
CREATE TABLE gate(
  target INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
  since INTEGER NOT NULL,
  until INTEGER,
  reason TEXT NOT NULL,
  PRIMARY KEY (target, kind)
) STRICT, WITHOUT ROWID;

-- One slice of the de-dup window; its keys are in the table key_<id>. Times by the de-dup clock, which counts while the store is open.
CREATE TABLE generation(
  id INTEGER PRIMARY KEY,
  started INTEGER NOT NULL,
  sealed INTEGER CHECK (sealed >= started),
  filter BLOB
) STRICT;

-- Who changed what by hand: retry, replay, cancel, rename.
CREATE TABLE audit(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  count INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;
