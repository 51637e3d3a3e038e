"""Configuration: the TOML file as typed values, every problem in one report."""
