"""Credentials: options of preset, source and credential laid over each other, secrets read, verifiers made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path as Folder
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from gateway.blueprint.combined import AllOf, AnyOf, asks_certificate
from gateway.blueprint.kinds import Kinds
from gateway.blueprint.learned import Learned, learned_file
from gateway.blueprint.presets import COMBINED, Preset, merge_verify
from gateway.blueprint.values import Credential
from gateway.config import model_sources as model
from gateway.config.lines import Path
from gateway.config.places import Places
from gateway.config.problems import Report
from gateway.config.secrets import Secret, SecretReference, read_learned, read_secret
from gateway.core.published import keyed
from gateway.core.routing import Pattern
from gateway.plugin import Verifier, VerifierKind

MEMBERS_MAX: Final = 8
EXAMPLE: Final = 'credentials.main = { secret = { file = "name" } }'
SECRETLESS: Final = ("none", "ip", "sns", "paypal")
"""Schemes that are whole without a secret: a source that names no credential has one of the scheme's name."""


class _Made(NamedTuple):
    """A verifier, how it is called, and what tells it from another."""

    scheme: str
    verifier: Verifier
    secret: str
    fixed: bool


class CredentialBuilder:
    """Builds the credentials of all sources of one configuration."""

    def __init__(self, kinds: Kinds[VerifierKind[Any]], places: Places, folder: Folder, report: Report) -> None:
        self._kinds = kinds
        self._places = places
        self._folder = folder
        self._report = report

    def build(self, path: Path, source: model.Source, preset: Preset) -> Iterator[Credential]:
        """Give the sound credentials of the source at `path`; what is wrong with the others is in the report."""
        layers = [dict(preset.verify), as_written(source.verify)]
        named = dict(source.credentials)
        options = merge_verify(*layers)
        scheme = options.get("scheme")
        if not named and is_secretless(options):
            named[str(scheme)] = model.Credential()
        elif not named:
            learns = any(each.learn for each in preset.handshake)
            example = "credentials.main = { learned = true }" if learns else EXAMPLE
            self._report.add(path, f"expected at least one credential, found none: write {example}")
        for name, credential in named.items():
            at = (*path, "credentials", name)
            own = as_written(credential.verify)
            for key in as_written(source.verify).keys() - own.keys():
                self._report.come_from((*at, "verify", key), (*path, "verify", key))
            options = merge_verify(*layers, own)
            if options.get("scheme") == "none" and len(named) > 1:
                self._report.add(
                    at, "scheme none lets everybody in, so the other credentials prove nothing: remove one"
                )
            if credential.learned:
                made = self._learned(at, options, credential, preset, self._learned_files(path, name, source))
            else:
                made = self._verifier(at, (*at, "verify"), options, credential.secret)
            if made is not None:
                yield self._credential(name, credential, options, made)

    def read(self, reference: SecretReference, at: Path) -> Secret | None:
        """Fetch the secret that `at` refers to; None if it cannot be had, which is reported."""
        try:
            return read_secret(reference, self._places, self._folder)
        except ValueError as error:
            self._report.add(at, str(error))
            return None

    def _learned_files(self, path: Path, name: str, source: model.Source) -> list[Folder]:
        """Give where the secret is kept; also under the source's former name, until the daemon has renamed it."""
        owners = [str(path[-1]), *([source.formerly] if source.formerly else [])]
        return [learned_file(self._places.state, each, name) for each in owners]

    def _learned(
        self, at: Path, options: dict[str, Any], credential: model.Credential, preset: Preset, files: Sequence[Folder]
    ) -> _Made | None:
        """Make what has, or will have, the secret that the provider says."""
        if credential.secret is not None:
            self._report.add(at, "learned and secret cannot stand together: the provider says the secret, or you do")
        elif not any(each.learn for each in preset.handshake):
            self._report.add((*at, "learned"), f"{preset.title} says no secret at set-up: write secret = … instead")
        elif any(word in options for word in COMBINED):
            self._report.add((*at, "learned"), "one scheme can learn, no combination of several: write one scheme")
        elif (found := self._scheme(at, (*at, "verify"), options)) is not None and found[1] is not None:
            kind, chosen = found
            try:
                secret = next(filter(None, map(read_learned, files)), None)
                made = Learned(
                    files[0].name, files[0], partial(kind.build, chosen), secret.reveal() if secret else None
                )
            except ValueError as error:
                self._report.add(at, str(error))
                return None
            if secret is None:
                self._report.warn(at, f"the provider has not said its secret: hookgate sources learn {at[1]}")
            return _Made(str(options["scheme"]), made, secret.reveal().hex() if secret else "", fixed=False)
        return None

    def _credential(self, name: str, credential: model.Credential, options: dict[str, Any], made: _Made) -> Credential:
        scope = json.dumps([options, credential.event, credential.version], sort_keys=True)
        return Credential(
            name=name,
            scheme=made.scheme,
            verifier=made.verifier,
            events=Pattern(credential.event),
            versions=Pattern(credential.version),
            secret_at="learned" if credential.learned else str(credential.secret or ""),
            secret_is_fixed=made.fixed,
            fingerprint=digest(scope, made.secret),
            keyed=keyed(made.verifier),
            asks_certificate=asks_certificate(made.verifier),
            learned=made.verifier if isinstance(made.verifier, Learned) else None,
        )

    def _verifier(
        self,
        at: Path,
        below: Path,
        options: dict[str, Any],
        secret: SecretReference | None,
        *,
        depth: int = 0,
        shared: bool = False,
    ) -> _Made | None:
        """Make what `options`, which stand at `below`, describe; `shared`: the secret is the credential's."""
        for word in COMBINED:
            if word in options:
                return self._combined((*below, word), word, options, secret, depth)
        return self._plain(at, below, options, secret, shared=shared)

    def _combined(
        self, below: Path, word: str, options: dict[str, Any], secret: SecretReference | None, depth: int
    ) -> _Made | None:
        members = options[word]
        if depth or len(options) > 1 or not isinstance(members, list | tuple) or not 2 <= len(members) <= MEMBERS_MAX:
            self._report.add(
                below, f"expected {word} alone, as a list of 2 to {MEMBERS_MAX} tables, each with a scheme of its own"
            )
            return None
        made: list[_Made] = []
        for index, member in enumerate(members):
            place = (*below, index)
            table, own = self._member(place, member)
            if table is None:
                continue
            if table.get("scheme") == "none":
                self._report.add(place, f"scheme none would let everybody in: it cannot stand in {word}")
                continue
            each = self._verifier(place, place, table, own or secret, depth=depth + 1, shared=own is None)
            if each is not None:
                made.append(each)
        if len(made) < len(members):
            return None
        combine = AllOf if word == "all_of" else AnyOf
        return _Made(
            f"{word}({', '.join(each.scheme for each in made)})",
            combine([each.verifier for each in made]),
            "\0".join(each.secret for each in made),
            any(each.fixed for each in made),
        )

    def _member(self, place: Path, member: object) -> tuple[dict[str, Any] | None, SecretReference | None]:
        if not isinstance(member, dict):
            self._report.add(place, 'expected a table such as { scheme = "hmac", header = "X-Signature" }')
            return None, None
        table = {key: value for key, value in member.items() if key != "secret"}
        if "secret" not in member:
            return table, None
        try:
            return table, SecretReference.model_validate(member["secret"])
        except ValidationError as error:
            self._report.add_invalid(error, member["secret"], SecretReference.model_json_schema(), (*place, "secret"))
            return None, None

    def _plain(
        self, at: Path, below: Path, options: dict[str, Any], reference: SecretReference | None, *, shared: bool
    ) -> _Made | None:
        found = self._scheme(at, below, options)
        if found is None:
            return None
        kind, chosen = found
        needed = kind.needs_secret is not False if chosen is None else kind.wants_secret(chosen)
        secret = self._secret(at, reference, needed=needed, shared=shared)
        if chosen is None or secret is None:
            return None
        try:
            verifier = kind.build(chosen, secret.reveal())
        except ValueError as error:
            self._report.add(at, str(error))
            return None
        except BaseException as error:  # noqa: BLE001 - a plugin's own class; its text may quote the secret
            self._report.add(at, f"the plugin cannot make the verifier: it raised {type(error).__name__}")
            return None
        fixed = reference is not None and reference.fixed
        return _Made(str(options["scheme"]), verifier, secret.reveal().hex(), fixed)

    def _scheme(self, at: Path, below: Path, options: dict[str, Any]) -> tuple[VerifierKind[Any], Any] | None:
        """Give the scheme and its options, None in their place if they are wrong; None if there is no such scheme."""
        scheme = options.get("scheme")
        if scheme is None:
            self._report.add(at, f"expected a scheme, as the provider has none: {self._kinds.names_text()}")
            return None
        if not isinstance(scheme, str):
            self._report.add((*below, "scheme"), f"expected the name of a scheme as text; {self._kinds.names_text()}")
            return None
        kind = self._kinds.find(scheme, (*below, "scheme"))
        if kind is None:
            return None
        table = {key: value for key, value in options.items() if key != "scheme"}
        return kind, self._kinds.options(kind.options, table, below, ["scheme"])

    def _secret(self, at: Path, reference: SecretReference | None, *, needed: bool, shared: bool) -> Secret | None:
        """Read the secret; a member of a combination that needs none does not get the credential's, only its own."""
        if shared and not needed:
            return Secret(b"")
        if reference is None:
            if needed:
                self._report.add(at, 'expected a secret, found none: write secret = { file = "name" }')
            return None if needed else Secret(b"")
        return self.read(reference, (*at, "secret"))


def is_secretless(options: Mapping[str, Any]) -> bool:
    """Tell whether a scheme with these options is whole without a secret."""
    return options.get("scheme") in SECRETLESS or bool(options.get("jwks") or options.get("discovery"))


def as_written(verify: model.Verify | None) -> dict[str, Any]:
    """Give the keys of a `verify` table that the operator wrote, but for the secret."""
    return verify.model_dump(exclude_unset=True, exclude={"secret"}) if verify else {}


def digest(*texts: str) -> bytes:
    """Give 16 bytes that stand for `texts`."""
    return blake2b("\0".join(texts).encode(), digest_size=16).digest()
