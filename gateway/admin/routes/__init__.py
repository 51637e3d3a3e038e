"""The endpoints, one module a noun; each gives a function that makes its routes for one `Operations`."""
