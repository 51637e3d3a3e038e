"""The `email` target: one mail for each message, or a digest of several; over a mail server of the operator's."""

from collections.abc import Sequence
from typing import Final

from gateway.plugin import Gather, Message, Outcome, Target, TargetDown, TargetKind
from gateway.targets.email_options import DigestTable, EmailOptions
from gateway.targets.mail import Recipients
from gateway.targets.mailer import Letter, Mailer

TIMEOUT_SECONDS: Final = 60.0


class SingleMails(Mailer):
    """Sends a mail for each message."""

    async def deliver(self, message: Message) -> Outcome:
        """Send the mail to those recipients who have not got it."""
        letter = self.letter(message)
        return await self.post([letter]) if isinstance(letter, Letter) else letter


class Digests(SingleMails):
    """Sends one mail for all messages that came within a while and go to the same recipients.

    What waits is in the store: nothing is held here, so that neither a stop nor a crash loses or delays any of it.
    """

    def __init__(self, options: EmailOptions, digest: DigestTable) -> None:
        super().__init__(options)
        self.gather = Gather(digest.every, digest.count)

    async def deliver_many(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Send a mail for each group of recipients; who has which mail is noted as soon as it is taken.

        Once the server is found to be down the others are not tried.
        """
        written = [self.letter(message) for message in messages]
        outcomes = {number: each for number, each in enumerate(written) if not isinstance(each, Letter)}
        down: TargetDown | None = None
        for letters in _groups(written).values():
            outcome = down or await self.post(list(letters.values()))
            down = outcome if isinstance(outcome, TargetDown) else None
            outcomes |= dict.fromkeys(letters, outcome)
        return [outcomes[number] for number in range(len(messages))]


def _groups(
    written: Sequence[Letter | Outcome],
) -> dict[tuple[Recipients, tuple[str, ...]], dict[int, Letter]]:
    """Put together, by their numbers, what goes to the same people, of whom the same have it already."""
    groups: dict[tuple[Recipients, tuple[str, ...]], dict[int, Letter]] = {}
    for number, each in enumerate(written):
        if isinstance(each, Letter):
            groups.setdefault((each.recipients, each.lacking), {})[number] = each
    return groups


def _build(options: EmailOptions) -> Target:
    return SingleMails(options) if options.digest is None else Digests(options, options.digest)


Email: Final = TargetKind(EmailOptions, _build, TIMEOUT_SECONDS, concurrency=2, send="empty", replay="ask")
