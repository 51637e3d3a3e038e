"""docs/targets.md: its receivers take what the `http` target signs and nothing else, and its commands make keys."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.core.signing import STANDARD_WEBHOOKS, Signer, standard_key
from gateway.runtime import Runtime

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
HMAC_RECEIVER, ED25519_RECEIVER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(KEY_PAIR,) = re.findall(r"```sh\n(openssl.*?)```", PAGE, re.DOTALL)
(SECRET,) = re.findall(r"Make one: `(.+?)`", PAGE)
BODY = b'{"order_id": "o-1"}'


def receiver(text):
    names = {}
    exec(compile(text, "docs/targets.md", "exec"), names)
    return names["is_genuine"]


def printed(commands, folder):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not on this machine")
    run = subprocess.run(["bash", "-euc", commands], cwd=folder, check=True, capture_output=True, timeout=20)
    return run.stdout.decode().split()


def sent(*secrets, at=None):
    keys = [standard_key(secret) for secret in secrets]
    moment = Runtime().now_ms() if at is None else at
    return {"webhook-id": "evt_1", **dict(Signer(STANDARD_WEBHOOKS, keys).headers("evt_1", moment, BODY))}


def check(is_genuine, key, secret, other):
    """Both orders while the secret is exchanged; not another's, not another body, not an old one."""
    assert is_genuine(key, sent(secret), BODY)
    assert is_genuine(key, sent(secret, other), BODY)
    assert is_genuine(key, sent(other, secret), BODY)
    assert not is_genuine(key, sent(other), BODY)
    assert not is_genuine(key, sent(secret), BODY + b" ")
    assert not is_genuine(key, sent(secret, at=Runtime().now_ms() - 600_000), BODY)


def test_the_receiver_for_a_shared_secret_takes_what_is_signed_with_it(tmp_path):
    (secret,), (other,) = (printed(SECRET, tmp_path) for _ in range(2))
    check(receiver(HMAC_RECEIVER), secret, secret, other)


def test_the_receiver_for_ed25519_takes_what_is_signed_with_the_other_half_of_its_key(tmp_path):
    private, public = printed(KEY_PAIR, tmp_path)
    (other,) = printed(SECRET, tmp_path)
    check(receiver(ED25519_RECEIVER), public, private, other)
