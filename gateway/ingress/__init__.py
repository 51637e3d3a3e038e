"""Ingress: from a request on the wire to an answer that is true. Ends at the store; knows nothing of delivery."""
