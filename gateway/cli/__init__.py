"""The command `hookgate`: one module a noun. At the top only click is imported; what is heavy, inside its verb."""
