"""The built-in verification schemes: `token`, `basic`, `hmac`, `jwt` and `none`.

Each is a class built from its options and one credential's secret; `verify` proves a request from its raw bytes and
`sign` makes one as the provider would. They come through the plugins' door: of the gateway they import
`gateway.plugin` only, and they are found by their entry points. Nothing here reads a clock, a file or the network;
times are compared with the request's arrival.
"""
