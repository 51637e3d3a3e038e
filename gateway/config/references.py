"""What the options of targets refer to instead of holding it: secrets and template files.

The blueprint gives a `References` as pydantic's validation context; it reads what the options name and keeps digests
of the contents, so that a new secret or template counts as a change of the target. Without that context (schema,
documents, tests of a plugin) only the shape is checked. A secret is shown by no repr, dump, schema or problem.
"""

from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from gateway.config.places import Places
from gateway.config.secrets import SecretReference, read_secret

TEMPLATE_BYTES_MAX: Final = 256 * 1024


class References:
    """Reads what one target's options refer to.

    Its methods raise ValueError that tells what is wrong, never a value.
    """

    def __init__(self, places: Places, secrets: Path) -> None:
        self._places = places
        self._secrets = secrets
        self.digests: list[bytes] = []
        """Of everything that was read, in order."""
        self.fixed: list[str] = []
        """Where secrets are whose new value needs a restart ("env SMTP_PASSWORD")."""

    def secret(self, reference: SecretReference) -> str:
        """Read a secret that is text."""
        value = read_secret(reference, self._places, self._secrets).reveal()
        self.digests.append(blake2b(value, digest_size=16).digest())
        if reference.fixed:
            self.fixed.append(str(reference))
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"the secret at {reference} is no text in UTF-8") from None

    def template(self, name: str) -> str:
        """Read a template file; its path counts from the configuration file."""
        file = self._places.beside_config(name)
        try:
            content = read_small(file)
            text = content.decode()
        except ValueError as error:
            raise ValueError(f"template {file}: {error}") from None
        self.digests.append(blake2b(content, digest_size=16).digest())
        return text


class SecretText:
    """A secret in a target's options: `{ file = "name" }`, `{ credential = … }` or `{ env = … }`; its repr is `***`."""

    __slots__ = ("_reference", "_value")

    def __init__(self, value: str | None, reference: SecretReference | None = None) -> None:
        """Hold a secret. Tests of a plugin give the value itself; the blueprint reads what a reference names."""
        self._value = value
        self._reference = reference

    @property
    def is_read(self) -> bool:
        """False where options were checked without reading what they refer to."""
        return self._value is not None

    @property
    def place(self) -> str:
        """Where it is ("file crm-token"); empty for a value that a test gave."""
        return str(self._reference or "")

    def reveal(self) -> str:
        """Give the secret. Raises ValueError if it was never read."""
        if self._value is None:
            raise ValueError(f"the secret at {self._reference} was not read")
        return self._value

    def __repr__(self) -> str:
        return "***"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's own signature
        written = core_schema.with_info_after_validator_function(cls._read, handler.generate_schema(SecretReference))
        return core_schema.json_or_python_schema(
            json_schema=written,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), written]),
            serialization=core_schema.plain_serializer_function_ser_schema(cls._dumped),
        )

    @classmethod
    def _read(cls, reference: SecretReference, info: ValidationInfo) -> "SecretText":
        return cls(info.context.secret(reference) if isinstance(info.context, References) else None, reference)

    def _dumped(self) -> Any:  # noqa: ANN401 - as it stands in the file
        return self._reference.model_dump(exclude_none=True) if self._reference else "***"


class TemplateFile:
    """A template file in a target's options: its name, and the text that was read."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def __repr__(self) -> str:
        return f"TemplateFile({self.name!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's own signature
        written = core_schema.with_info_after_validator_function(cls._read, core_schema.str_schema(min_length=1))
        return core_schema.json_or_python_schema(
            json_schema=written,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), written]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda file: file.name),
        )

    @classmethod
    def _read(cls, name: str, info: ValidationInfo) -> "TemplateFile":
        return cls(Path(name).name, info.context.template(name) if isinstance(info.context, References) else "")


def read_small(file: Path) -> bytes:
    """Read a template or TLS file. Raises ValueError that tells why it cannot be used, without its name."""
    try:
        with file.open("rb") as opened:
            content = opened.read(TEMPLATE_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > TEMPLATE_BYTES_MAX:
        raise ValueError(f"expected at most {TEMPLATE_BYTES_MAX} bytes, found more")
    return content
