"""`make install`, `plugin` and `uninstall` into a scratch root: what docs/service.md says is what is there.

The environment is really built, from the package index or its local cache: this takes a minute. What only a real root
can show (user, owners, the service manager) is not shown here.
"""

import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/service.md").read_text()
METADATA = """Metadata-Version: 2.1
Name: hookgate-tiny
Version: 1.0
Requires-Dist: hookgate
Requires-Dist: trio
"""
UNREACHABLE = re.compile(
    r"name resolution|Connection refused|Network is unreachable|Failed to establish a new connection"
)


def make(root, verb, *settings):
    python = getattr(sys, "_base_executable", sys.executable)
    command = ["make", "--no-print-directory", verb, f"DESTDIR={root}", f"PYTHON={python}", *settings]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plugin_wheel(folder):
    """A plugin as small as one can be, with a dependency on what Hookgate pins."""
    info = "hookgate_tiny-1.0.dist-info"
    files = {
        "hookgate_tiny.py": "",
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = folder / "hookgate_tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def documented():
    """The rows of the handbook's table: path, mode or "link"."""
    table = DOC.partition("## Where things are")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(/[^`]+)` \| (\w+) \|", table, re.MULTILINE)


def inside(root, path):
    return root / path.lstrip("/")


def run_installed(root, *arguments):
    """Run the installed program; its first line names the interpreter of the real root, so by its own interpreter."""
    python = inside(root, "/opt/hookgate/current/bin/python")
    return subprocess.run([python, "-P", *arguments], capture_output=True, text=True, check=False, cwd="/")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make(root, "install")
    return root


pytestmark = pytest.mark.timeout(600)


def test_every_path_of_the_handbook_is_there_with_its_mode(root):
    rows = documented()
    assert len(rows) > 10
    for path, mode in rows:
        found = inside(root, path).lstat()
        assert (mode == "link") == stat.S_ISLNK(found.st_mode), path
        assert mode == "link" or stat.S_IMODE(found.st_mode) == int(mode, 8), path


def test_every_file_that_is_installed_stands_in_the_handbook(root):
    documented_paths = {path for path, _ in documented()}
    for path in root.rglob("*"):
        name = f"/{path.relative_to(root)}"
        if path.is_file() and not name.startswith("/opt/hookgate/releases/"):
            assert name in documented_paths


def test_every_unit_of_the_source_is_installed(root):
    for unit in [*(ROOT / "systemd").glob("*.service"), *(ROOT / "systemd").glob("*.socket")]:
        assert inside(root, f"/usr/local/lib/systemd/system/{unit.name}").read_bytes() == unit.read_bytes()


def test_what_the_unit_starts_is_a_program_of_the_release_that_knows_nothing_of_the_scratch_root(root):
    unit = (ROOT / "systemd/hookgate.service").read_text()
    program = inside(root, re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)[1])
    assert os.access(program, os.X_OK)
    handbook = inside(root, re.search(r"^Documentation=file:(\S+)", unit, re.MULTILINE)[1])
    assert handbook.read_text() == DOC
    assert program.read_text().startswith("#!/opt/hookgate/releases/")
    assert inside(root, "/usr/local/bin/hookgate").readlink() == Path("/opt/hookgate/current/bin/hookgate")
    for script in program.parent.iterdir():
        assert str(root).encode() not in script.read_bytes(), script.name


def test_the_template_is_right_as_it_is_and_with_all_that_is_commented(root, tmp_path):
    template = inside(root, "/etc/hookgate/config.toml")
    checked = run_installed(root, "-m", "gateway", "check", "--config", str(template))
    assert checked.returncode == 0, checked.stderr
    whole = tmp_path / "config.toml"
    whole.write_text(re.sub(r"^#\| ?", "", template.read_text(), flags=re.MULTILINE).replace("credential =", "file ="))
    (tmp_path / "secrets").mkdir()
    for name in ("truework-orders", "truework-states"):
        secret = tmp_path / "secrets" / name
        secret.write_text("a-token-of-enough-bytes")
        secret.chmod(0o600)
    checked = run_installed(root, "-m", "gateway", "check", "--strict", "--config", str(whole))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_upgrade_keeps_configuration_secrets_plugins_and_the_release_before(root, tmp_path):
    config, secret = inside(root, "/etc/hookgate/config.toml"), inside(root, "/etc/hookgate/secrets/one")
    config.write_text("# mine\n")
    secret.write_text("mine")
    before = inside(root, "/opt/hookgate/current").readlink()
    make(root, "plugin", f"PLUGIN={plugin_wheel(tmp_path)}")
    assert run_installed(root, "-c", "import hookgate_tiny").returncode == 0
    make(root, "install")
    after = inside(root, "/opt/hookgate/current").readlink()
    assert before != after
    assert inside(root, f"/opt/hookgate/{before}/bin/hookgate").exists()
    assert (config.read_text(), secret.read_text()) == ("# mine\n", "mine")
    assert run_installed(root, "-c", "import hookgate_tiny").returncode == 0
    pinned = re.findall(r"^trio==(\S+)", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE)
    assert run_installed(root, "-c", "import trio; print(trio.__version__)").stdout.split() == pinned
    make(root, "uninstall")
    left = {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_file() or path.is_symlink()}
    assert left == {"/etc/hookgate/config.toml", "/etc/hookgate/secrets/one"}
    assert inside(root, "/var/lib/hookgate").is_dir()


def test_without_a_name_or_an_installation_the_plugin_command_tells_what_to_do(tmp_path):
    for settings, told in ((("PLUGIN=",), "which one?"), (("PLUGIN=x",), "not installed: sudo make install")):
        command = ["make", "--no-print-directory", "plugin", f"DESTDIR={tmp_path}", *settings]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert told in done.stderr
