"""What a mail server's answers, or their absence, mean for a delivery: one table.

Pure. A mail is delivered when every recipient's server took it; who took it is remembered, so that a further try goes
to the others only (row M6).
"""

from collections.abc import Collection, Sequence
from typing import Final

import orjson

from gateway.plugin import Delivered, Outcome, Rejected, Retry, TargetDown
from gateway.targets.smtp import Answers, ConversationError

REASON_MAX: Final = 480
DETAIL_MAX: Final = 200

_LOGIN: Final = frozenset({530, 534, 535, 538})


def judge_answers(answers: Answers, accepted: int) -> Outcome:
    """Give the outcome of a mail; `accepted` counts all recipients that have it, from earlier tries too.

    One temporary refusal is worth another try for all who lack the mail. Only permanent ones: the delivery is dead,
    even if others have the mail, so that somebody is told; `hookgate retry` then asks only those who lack it.
    """
    if not answers.refused:
        return Delivered(f"{answers.last}"[:DETAIL_MAX])
    told = "; ".join(f"{recipient}: {reply}" for recipient, reply in answers.refused.items())
    total = accepted + len(answers.refused)
    reason = f"{accepted} of {total} recipients have it; refused: {told}"[:REASON_MAX]
    if any(reply.code < 500 for reply in answers.refused.values()):
        return Retry(reason)
    return Rejected(reason)


def judge_end(error: ConversationError) -> Outcome:
    """Give the outcome of a conversation that ended early.

    Before the mail itself began, and where the server closes or wants another login, the message is not to blame.
    """
    text = f"{error.stage}: {error}"[:REASON_MAX]
    code = error.reply.code if error.reply else 0
    if error.stage in ("greeting", "tls", "login") or code == 421 or code in _LOGIN:
        return TargetDown(text)
    if error.stage == "sender":
        if code == 552:
            return Rejected(text)
        return Retry(text) if code < 500 else TargetDown(text)
    if error.stage == "sent" and not code:
        return Retry(f"{text}; nobody knows whether the mail was taken, so it is sent again with the same Message-ID")
    return Retry(text)


def read_progress(progress: bytes | None, recipients: Collection[str]) -> tuple[str, ...]:
    """Give which of the recipients have the mail already; what cannot be read means none."""
    try:
        found = orjson.loads(progress or b"[]")
    except orjson.JSONDecodeError:
        return ()
    return (
        tuple(each for each in found if isinstance(each, str) and each in recipients) if isinstance(found, list) else ()
    )


def write_progress(accepted: Sequence[str]) -> bytes:
    """Write down who has the mail."""
    return orjson.dumps(accepted)
