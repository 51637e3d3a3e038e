-- 0004: how long a delivery has waited for further tries (what `give_up` counts), and when it is of no use any more.
ALTER TABLE delivery ADD COLUMN waited INTEGER NOT NULL DEFAULT 0 CHECK (waited >= 0);
ALTER TABLE delivery ADD COLUMN expires_at INTEGER;

-- Only of targets that write `expires`; what is settled leaves it.
CREATE INDEX delivery_expiry ON delivery(expires_at, event, n) WHERE state < 2 AND expires_at IS NOT NULL;
