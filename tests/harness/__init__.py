"""Tools that prove the whole daemon over its real process: start it, kill it, send to it, receive from it, count."""
