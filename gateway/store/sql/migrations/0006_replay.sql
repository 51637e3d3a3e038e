-- 0006: replays that the daemon carries out bit by bit, and who did what by hand.

-- One replay. plan: JSON of the daemon. state: 0 running, 1 done, 2 cancelled. position: the last event it has looked at; last: the last it will.
CREATE TABLE replay(
  id TEXT PRIMARY KEY,
  asked_at INTEGER NOT NULL,
  who TEXT NOT NULL,
  plan TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
  position INTEGER NOT NULL,
  last INTEGER NOT NULL,
  events INTEGER NOT NULL,
  added INTEGER NOT NULL,
  left_out INTEGER NOT NULL,
  passed_over INTEGER NOT NULL,
  ended_at INTEGER,
  reason TEXT NOT NULL,
  CHECK ((ended_at IS NOT NULL) = (state > 0))
) STRICT, WITHOUT ROWID;

ALTER TABLE audit ADD COLUMN who TEXT NOT NULL DEFAULT '';
