-- 0002: the latest time by our wall clock, so that a start finds out that the clock went back meanwhile. 0: not known.
ALTER TABLE meta ADD COLUMN wall_ms INTEGER NOT NULL DEFAULT 0;
