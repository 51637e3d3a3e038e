"""The configuration that most acceptance tests run: Truework and Truora in, an HTTP target and a file out."""

from dataclasses import dataclass, field

from harness.home import Home

ORDERS_TOKEN = "tw-orders-0f3c6b1d9a7e4c52"
STATES_TOKEN = "tw-states-77d1e0c2b94a4f18"
TRUORA_KEY = "truora-key-5b0d3f6f2f4b4d0e9a51c7d2e8a1b64f0c9d7e35a2718f4c6b0d9e13a57c"


@dataclass(slots=True)
class Settings:
    """What a test may vary; `text` writes the file."""

    home: Home
    crm: str = ""
    """URL of the HTTP target `crm`; without it there is none."""
    crm_options: str = ""
    """More lines of `[targets.crm]`."""
    port: int = 0
    more: str = ""
    """Tables to add at the end."""
    server: str = ""
    """More lines of `[server]`."""
    store: str = ""
    """More lines of `[store]`."""
    file: bool = True
    """False leaves the file target `audit` out."""
    orders_targets: list[str] = field(default_factory=list)
    """Targets of the route of all Truework events; all there are unless written."""

    def text(self) -> str:
        """Write the TOML."""
        names = self.orders_targets or [*(["crm"] if self.crm else []), *(["audit"] if self.file else [])]
        targets = ", ".join(f'"{name}"' for name in names)
        parts = [
            _BASE.format(port=self.port, home=self.home.folder, targets=targets, server=self.server, store=self.store)
        ]
        if self.crm:
            parts.append(f'[targets.crm]\ntype = "http"\nurl = "{self.crm}"\n{self.crm_options}\n')
        if self.file:
            parts.append(f'[targets.audit]\ntype = "file"\npath = "{self.home.files}/audit.jsonl"\n')
        return "\n".join([*parts, self.more])

    def write(self) -> None:
        """Write the file and the secrets it refers to."""
        self.home.write_secret("truework-orders", ORDERS_TOKEN)
        self.home.write_secret("truework-states", STATES_TOKEN)
        self.home.write_secret("truora", TRUORA_KEY)
        self.home.write_config(self.text())


_BASE = """
[server]
bind = ["127.0.0.1:{port}"]
{server}

[admin]
bind = "unix:{home}/admin.sock"

[store]
low_water = "1MiB"
{store}

[sources.truework]
provider = "truework"
version = "2023-*"

[sources.truework.credentials]
orders = {{ secret = {{ file = "truework-orders" }}, event = "order.completed" }}
states = {{ secret = {{ file = "truework-states" }}, event = "verification_request.state.change" }}

[sources.truora]
provider = "truora"
version = "1.*"
credentials.main = {{ secret = {{ file = "truora" }} }}

[routes.orders]
source = "truework"
event = ["order.*", "verification_request.*"]
targets = [{targets}]

[routes.identity]
source = "truora"
event = "digital_identity.*"
targets = [{targets}]
"""
