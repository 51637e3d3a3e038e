"""The built-in kinds of target; they import nothing of the gateway but `gateway.plugin`, as a plugin would."""
