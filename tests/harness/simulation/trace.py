"""What happened in one run, in order: the last lines for people, and a digest over everything."""

from collections import deque
from hashlib import blake2b

KEPT = 4000


class Trace:
    """Takes lines of what happens, with the moment, and bare facts that only count for the digest."""

    def __init__(self, moment):
        self._moment = moment
        self._digest = blake2b(digest_size=16)
        self.lines = deque(maxlen=KEPT)
        self.count = 0
        self.over = False
        """True: what happens from now on is only the end of the run."""

    def say(self, text):
        """Keep one line."""
        if self.over:
            return
        line = f"{self._moment()}  {text}"
        self.lines.append(line)
        self.count += 1
        self._digest.update(line.encode())

    def note(self, fact):
        """Count one fact (bytes) for the digest alone."""
        if not self.over:
            self.count += 1
            self._digest.update(fact)

    @property
    def digest(self):
        """Equal for equal runs."""
        return self._digest.hexdigest()
