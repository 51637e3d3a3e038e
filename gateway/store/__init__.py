"""The store: what is accepted is on disk before anybody is told so."""
