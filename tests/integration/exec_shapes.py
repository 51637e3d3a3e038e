"""Programs that try to outlive their run, one for each way that is known; each of them also with SIGTERM ignored."""

PRELUDE = """
import os, signal, sys, time, threading
def rest():
    while True: time.sleep(100)
def child(what=rest, *more):
    pid = os.fork()
    if pid == 0:
        try: what(*more)
        finally: os._exit(0)
    return pid
def orphan(what=rest, *more):
    "The child's child: its parent is gone."
    pid = child(child, what, *more)
    os.waitpid(pid, 0)
def session(what=rest, *more):
    os.setsid()
    what(*more)
def daemon(what=rest, *more):
    orphan(session, what, *more)
def silent(what=rest, *more):
    for number in range(3): os.close(number)
    what(*more)
"""

SHAPES = {
    "sleeps": "rest()",
    "burns": "while True: pass",
    "forks": "child(); rest()",
    "forks twice": "orphan(); rest()",
    "has a session of its own": "child(session); rest()",
    "is a daemon": "daemon(); rest()",
    "is a daemon without stdio": "daemon(silent); rest()",
    "closes stdio": "silent()",
    "leaves one behind that holds the pipe": "child(); os._exit(0)",
    "leaves a daemon behind": "daemon(); daemon(silent); os._exit(0)",
    "has a group of its own": "child(lambda: (os.setpgid(0, 0), rest())); rest()",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP); rest()",
    "has a stopped daemon": "daemon(lambda: os.kill(os.getpid(), signal.SIGSTOP)); rest()",
    "storms": "[child(lambda: [child() for _ in range(9)] and rest()) for _ in range(10)]; rest()",
    "hops": """
def hop():
    while not os.fork(): pass
child(hop); rest()
""",
    "hops through sessions": """
def hop():
    while True:
        if os.fork(): os._exit(0)
        os.setsid()
        time.sleep(0.002)
child(hop); rest()
""",
    "brings back what dies": """
def keep():
    while True: os.waitpid(child(), 0)
daemon(keep); rest()
""",
    "has threads": "[threading.Thread(target=lambda: child() and rest()).start() for _ in range(5)]; rest()",
    "becomes another program": "daemon(os.execve, '/bin/sleep', ['x) (y', '100'], {}); rest()",
    "adopts its own orphans": """
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
orphan(); daemon(); rest()
""",
}
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"


def programs():
    """Give the 40 shapes: name and program."""
    for name, text in SHAPES.items():
        yield name, PRELUDE + text
        yield f"{name}, deaf", PRELUDE + DEAF + text
