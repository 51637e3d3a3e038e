import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config.places import find_places
from gateway.config.secrets import SECRET_BYTES_MAX, Secret, SecretReference, read_secret

VALUE = b"canary-7f3a9c1e"


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def put(folder, content=VALUE, mode=0o600, name="main"):
    file = folder / name
    file.write_bytes(content)
    file.chmod(mode)
    return file


def read(folder, environ=None, **reference):
    places = find_places(folder / "config.toml", environ or {})
    return read_secret(SecretReference(**(reference or {"file": "main"})), places, folder).reveal()


def refusal(folder, environ=None, **reference):
    with pytest.raises(ValueError) as caught:
        read(folder, environ, **reference)
    assert VALUE.decode() not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_one_newline_at_the_end_of_a_file_is_no_part_of_the_secret(folder, end):
    put(folder, VALUE + end)
    assert read(folder) == VALUE


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o606, 0o660, 0o601])
def test_C4_a_secret_that_others_may_read_or_change_is_refused_without_its_value(folder, mode):
    file = put(folder, mode=mode)
    assert f"secret file {file}: expected mode 0640 or less, found {mode:04o}" in refusal(folder)


def test_the_service_s_own_group_may_read(folder):
    put(folder, mode=0o640)
    assert read(folder) == VALUE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_C4_another_group_may_not_read(folder):
    os.chown(put(folder, mode=0o640), 0, 54321)
    assert "expected mode 0600 or less, found 0640" in refusal(folder)


def test_C4_a_missing_variable_is_told_by_name(folder):
    assert "environment variable NOT_THERE is not set" in refusal(folder, env="NOT_THERE")


def test_secrets_come_from_the_environment_and_from_systemd(folder):
    put(folder, mode=0o644)
    assert read(folder, {"TOKEN": VALUE.decode()}, env="TOKEN") == VALUE
    assert read(folder, {"CREDENTIALS_DIRECTORY": str(folder)}, credential="main") == VALUE


def test_a_credential_without_systemd_says_what_to_do(folder):
    assert "LoadCredential=" in refusal(folder, credential="main")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (VALUE + b"\n\n", "ends with an empty line"),
        (b"x" * (SECRET_BYTES_MAX + 1), "at most"),
    ],
)
def test_an_unfit_file_is_refused(folder, content, said):
    put(folder, content)
    assert said in refusal(folder)


def test_a_missing_file_and_a_fifo_are_refused_at_once(folder):
    assert "No such file" in refusal(folder)
    os.mkfifo(folder / "pipe", 0o600)
    assert "expected a regular file" in refusal(folder, file="pipe")


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"file": "a", "env": "B"},
        {"file": "../a"},
        {"file": "/etc/passwd"},
        {"file": "a/b"},
        {"file": ".a"},
        {"env": "A=B"},
        {"inline": "canary-7f3a9c1e"},
        "canary-7f3a9c1e",
    ],
)
def test_a_reference_names_exactly_one_place_and_never_leaves_the_folder(reference):
    with pytest.raises(ValidationError) as caught:
        SecretReference.model_validate(reference)
    assert "canary" not in str(caught.value.errors()[0]["msg"])


def test_a_secret_does_not_show_itself():
    assert f"{Secret(VALUE)!r} {Secret(VALUE)}" == "*** ***"


def test_only_files_can_change_without_a_restart():
    assert [SecretReference(**{kind: "A"}).fixed for kind in ("file", "credential", "env")] == [False, True, True]
    assert str(SecretReference(env="A")) == "env A"


def test_folders_come_from_systemd_or_are_below_the_working_directory(tmp_path):
    by_hand = find_places(tmp_path / "c.toml", {})
    assert (str(by_hand.state), str(by_hand.runtime), str(by_hand.admin_socket)) == (
        str(Path.cwd() / "var"),
        "var/run",
        "var/run/admin.sock",
    )
    service = find_places(tmp_path / "c.toml", {"STATE_DIRECTORY": "/s:/t", "RUNTIME_DIRECTORY": "/r"})
    assert (str(service.in_state("x.db")), str(service.runtime)) == ("/s/x.db", "/r")
    assert str(service.in_state("/else/x.db")) == "/else/x.db"
    assert service.beside_config("tls/a.pem") == tmp_path / "tls/a.pem"
    assert "STATE_DIRECTORY" not in repr(service)
