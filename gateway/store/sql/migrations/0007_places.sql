-- 0007: what a delivery keeps while it lets another of its key go first, and when a replayed one was planned.

-- resumes_at: until when it backs off, by the de-dup clock (no step moves that one); only where it waits without a due.
ALTER TABLE delivery ADD COLUMN resumes_at INTEGER;

-- planned_at: when it was added to an event that was stored before; NULL: with its event. Only where it expires.
ALTER TABLE delivery ADD COLUMN planned_at INTEGER;
