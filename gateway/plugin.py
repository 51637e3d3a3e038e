"""All that a plugin may import; the built-in verifiers and targets import nothing else of the gateway.

A **target** is a class with `deliver` (or a plain function) marked with `@target`; it gives an outcome and never
raises on purpose: an uncaught exception counts as `Retry`, a wrong return value as `TargetDown`. A **verifier** is a
class with `verify` marked with `@verifier`. Options are pydantic models: unknown keys are errors, field descriptions
become the documentation.

A **transform** is a function marked with `@transform`; it gives new content for a target's message.

Plugins are found by the entry-point groups `hookgate.targets`, `hookgate.verifiers` and `hookgate.transforms`; the
entry point's name is the `type`, `scheme` or `transform` that the operator writes. `gateway.testing` proves that an
implementation keeps its contract.
"""

from gateway.config.model_smtp import Sender, Smtp
from gateway.config.references import SecretText, TemplateFile
from gateway.config.units import ByteCount, Duration, duration_between, size_between, size_text
from gateway.core.document import parse_document, parse_form, refuse_repeated_keys
from gateway.core.encodings import ENCODERS, Encoding, decode_base64, decode_base64url, encode_base64url
from gateway.core.fields import message_field
from gateway.core.head import decode_head
from gateway.core.keys import KeyForm, decode_key, fit_secret
from gateway.core.mailbox import check_address, parse_mailbox
from gateway.core.model import (
    Delivered,
    Headers,
    Json,
    Message,
    NotTried,
    Outcome,
    Proof,
    Rejected,
    Request,
    Retry,
    TargetDown,
)
from gateway.core.moments import write_moment
from gateway.core.published import NO_KEYS, KeyedVerifier, KeyRef, Keys, NeedsKey, Published, proven
from gateway.core.render import CompiledTemplate, TemplateSource, TemplateUnfitError, message_values
from gateway.core.selector import Scope, Selector, Template, parse_selector, parse_template
from gateway.core.signing import (
    STANDARD_WEBHOOKS,
    Algorithm,
    SignatureShape,
    SignatureStyle,
    Signer,
    SigningKey,
    TimestampUnit,
    hmac_key,
    signed_variables,
    standard_key,
)
from gateway.core.xml import parse_xml
from gateway.errors import KeyUnavailableError, PluginError, RequestError, VerificationError
from gateway.kinds.context import Context, Memory
from gateway.kinds.installed import Group, kind_names, load_kinds
from gateway.kinds.options import Options
from gateway.kinds.target import (
    BatchTarget,
    Gather,
    Replays,
    RestingTarget,
    SendForm,
    Target,
    TargetKind,
    gather_of,
    target,
)
from gateway.kinds.transform import TransformKind, transform
from gateway.kinds.verifier import Verifier, VerifierKind, verifier
from gateway.runtime import Runtime, Socket
from gateway.wire.client import HttpClient, HttpReply, TlsOptions, Url, WireError, check_headers, parse_url
from gateway.wire.dial import dial_blocking, tls_cause
from gateway.wire.exec_client import Ended as ExecEnded
from gateway.wire.exec_client import ExecClient, ExecError
from gateway.wire.exec_client import Job as ExecJob
from gateway.wire.guard import Guard, parse_rule
from gateway.wire.proxy import Proxy
from gateway.wire.url_template import UnfitUrlError, UrlTemplate

__all__ = [
    "ENCODERS",
    "NO_KEYS",
    "STANDARD_WEBHOOKS",
    "Algorithm",
    "BatchTarget",
    "ByteCount",
    "CompiledTemplate",
    "Context",
    "Delivered",
    "Duration",
    "Encoding",
    "ExecClient",
    "ExecEnded",
    "ExecError",
    "ExecJob",
    "Gather",
    "Group",
    "Guard",
    "Headers",
    "HttpClient",
    "HttpReply",
    "Json",
    "KeyForm",
    "KeyRef",
    "KeyUnavailableError",
    "KeyedVerifier",
    "Keys",
    "Memory",
    "Message",
    "NeedsKey",
    "NotTried",
    "Options",
    "Outcome",
    "PluginError",
    "Proof",
    "Proxy",
    "Published",
    "Rejected",
    "Replays",
    "Request",
    "RequestError",
    "RestingTarget",
    "Retry",
    "Runtime",
    "Scope",
    "SecretText",
    "Selector",
    "SendForm",
    "Sender",
    "SignatureShape",
    "SignatureStyle",
    "Signer",
    "SigningKey",
    "Smtp",
    "Socket",
    "Target",
    "TargetDown",
    "TargetKind",
    "Template",
    "TemplateFile",
    "TemplateSource",
    "TemplateUnfitError",
    "TimestampUnit",
    "TlsOptions",
    "TransformKind",
    "UnfitUrlError",
    "Url",
    "UrlTemplate",
    "VerificationError",
    "Verifier",
    "VerifierKind",
    "WireError",
    "check_address",
    "check_headers",
    "decode_base64",
    "decode_base64url",
    "decode_head",
    "decode_key",
    "dial_blocking",
    "duration_between",
    "encode_base64url",
    "fit_secret",
    "gather_of",
    "hmac_key",
    "kind_names",
    "load_kinds",
    "message_field",
    "message_values",
    "parse_document",
    "parse_form",
    "parse_mailbox",
    "parse_rule",
    "parse_selector",
    "parse_template",
    "parse_url",
    "parse_xml",
    "proven",
    "refuse_repeated_keys",
    "signed_variables",
    "size_between",
    "size_text",
    "standard_key",
    "target",
    "tls_cause",
    "transform",
    "verifier",
    "write_moment",
]
