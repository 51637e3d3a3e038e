-- 0003: small things of other parts that outlive the process, such as the de-dup rules that each source had lately.
CREATE TABLE note(
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
