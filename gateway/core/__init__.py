"""The pure core: values and decisions. No module here does I/O, reads a clock or draws a random number."""
