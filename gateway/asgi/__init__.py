"""hypercorn's protocol code over the listener of `gateway.wire`, contained: for the admin API, on wish for ingress."""
