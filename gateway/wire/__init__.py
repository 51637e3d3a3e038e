"""HTTP/1.1 on the wire, both ways: the listener that takes requests, and the one client that sends them."""
