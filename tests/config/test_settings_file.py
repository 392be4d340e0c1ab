"""`orchestrator.toml`: a file is settings, or one error that names each setting that is wrong and its line."""

import json
import pickle
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.api.settings import ProjectSettings, check_settings
from orchestrator.config import validation
from orchestrator.config.key_lines import key_lines
from orchestrator.config.project_file import NAMES
from orchestrator.config.reference_page import SECTIONS
from orchestrator.config.setting_errors import InvalidSettings
from orchestrator.config.tables.base import SettingsTable
from orchestrator.errors import ConfigurationError
from orchestrator.models.calls.project_budget import ProjectBudget
from orchestrator.models.catalog.settings import ModelSettings
from orchestrator.models.limits import LimitSettings
from orchestrator.notices.settings import NoticeSettings
from orchestrator.tools.mcp import load_servers

FULL = """\
store = "sqlite:///data/runs.db"
tools = ["lib/tools.py", "shop.tools"]

[run]
max_parallel = 8
timeout = "2h"
cache = false
max_result = 200_000_000
max_told = 50_000
budget = {usd = 5, tokens = 50_000, requests = 100}

[map]
max_parallel = 32

[allow]
paths = ["shared", "/srv/data"]
run = ["git", "make"]
hosts = ["db.internal:5432", "10.0.0.0/8", "[::1]:80"]

[models]
default = "lab:qwen3-32b"

[models."lab:qwen3-32b"]
input_price = 0.25
cached_price = 0.025
output_price = 2
image_price = 0.04
minute_price = 0.006
character_price = 15
context_window = 131_072
max_output = 16_000
quality = 4
speed = 3
size = 32
capabilities = ["tools", "json_schema"]
expertise = ["code"]

[servers.lab]
base_url = "http://gpu-box:8000/v1"
kind = "openai"
api_key_env = "LAB_API_KEY"
timeout = "90s"
free = true
stream = false
max_bytes = 100_000_000

[servers.openai]
stream = false

[limits]
longest_wait = "10m"

[limits.openai]
requests_per_minute = 500
tokens_per_minute = 200_000

[limits."lab/qwen3-32b"]
requests_per_minute = 3

[budget]
usd = 20
tokens = 1_000_000
requests = 1000
period = "month"

[mcp.tides]
command = ["npx", "a-server"]
env = {LOG_LEVEL = "debug"}
pass_env = ["GITHUB_TOKEN"]
start_timeout = "30s"

[mcp.remote]
url = "https://tools.example.com/mcp"
headers_env = {Authorization = "TOOLS_AUTHORIZATION"}

[databases.orders]
url = "postgresql://reader@db.example.com/orders"
password_env = "ORDERS_PASSWORD"
read_only = false

[databases.stock]
url_env = "STOCK_URL"

[storage.reports]
url = "s3://acme-reports/monthly"
read_only = false
region = "eu-central-1"
endpoint = "https://objects.example.com"
key_env = "REPORTS_KEY"
secret_env = "REPORTS_SECRET"
token_env = "REPORTS_TOKEN"

[storage.backups]
url = "az://backups"
account = "acmereports"

[storage.public]
url = "gs://public"
anonymous = true

[mail.reports]
host = "smtp.example.com"
port = 2525
security = "tls"
user = "orchestrator"
password_env = "REPORTS_PASSWORD"
sender = "Reports <reports@example.com>"
recipients = ["*@example.com", "ada@example.org"]

[web]
provider = "searxng"
searxng_url = "https://search.example.org"
keep = "1h"
per_second = 0.5

[memory]
namespaces = ["notes", "user/*"]
read_only = ["facts"]
max_keys = 1_000
max_value = 20_000
ttl = "90d"
project = "shop"

[serve]
host = "0.0.0.0"
port = 8421
url = "https://runs.example.com"
pipelines = ["pipelines"]
protect_pipelines = false
names = ["runs.example.com"]
origins = ["https://tools.example.com"]
proxies = ["10.0.0.1"]
outputs = ["output", "/srv/reports"]
open_metrics = true
max_runs = 32
max_connections = 100
max_parallel = 64
drain = "1m"
triggers = false

[notify]
failed = ["oncall", "audit"]
waiting = ["team"]
budget = ["team"]
budget_at = "90%"

[notify.oncall]
type = "slack"
url_env = "SLACK_WEBHOOK_URL"

[notify.audit]
type = "webhook"
url = "https://audit.example.com/hook"
secret_env = "AUDIT_SECRET"

[notify.team]
type = "smtp"
host = "smtp.example.com"
port = 2525
security = "tls"
user = "orchestrator"
password_env = "SMTP_PASSWORD"
sender = "Orchestrator <runs@example.com>"
recipients = ["team@example.com"]

[serve.groups]
finance = ["ada", "grace"]

[serve.oidc]
issuer = "https://login.example.com"
client_id = "orchestrator"
client_secret_env = "ORCHESTRATOR_OIDC_SECRET"
url = "https://runs.example.com"
label = "Example Inc."
scopes = ["openid", "groups"]
name_claim = "email"
groups_claim = "roles"
session = "8h"

[serve.oidc.groups]
ops = ["admin"]
staff = ["read", "answer"]
"""

HIDDEN = "sk-hidden-0123456789"
"""A value that no message may contain, wherever it stands in the file."""

OPEN = (
    *("kind", "period", "capabilities", "timeout", "longest_wait", "start_timeout", "hosts", "drain", "session"),
    *("type", "security"),
    *("groups", "ops", "staff"),  # the scopes of groups
)
"""Settings whose values messages quote: words of closed sets, durations and hosts, which are not secrets."""

Path_ = tuple[str, ...]


def paths(table: dict[str, Any], above: Path_ = ()) -> Iterator[Path_]:
    for key, value in table.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from paths(value, (*above, key))


PATHS = sorted(paths(tomllib.loads(FULL)))


def written(value: Any) -> str:
    """Write a value in TOML; tables are inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\\u007f", "\\u007F") if not isinstance(value, int) else str(value).lower()


def file_of(values: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(key)} = {written(value)}\n" for key, value in values.items())


def project(directory: Path, text: str) -> Path:
    (directory / "orchestrator.toml").write_text(text, encoding="utf-8")
    return directory


def problems_of(directory: Path) -> InvalidSettings | None:
    try:
        check_settings(directory)
    except InvalidSettings as error:
        return error
    return None


TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12)
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 10**400, -(10**400), 6, 2**64])
VALUES = st.recursive(
    TEXTS | NUMBERS | st.booleans(), lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3)
)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[dict[str, Any], list[Path_]]:
    """The values of the full file with a few changes: values replaced, keys renamed, added and removed."""
    values = tomllib.loads(FULL)
    changed = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4, unique=True))
    for path in changed:
        table = values
        for key in path[:-1]:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if not isinstance(table, dict) or path[-1] not in table:
            continue
        match draw(st.sampled_from(["replace", "rename", "add", "remove"])):
            case "replace":
                table[path[-1]] = draw(VALUES)
            case "rename":
                table[draw(TEXTS)] = table.pop(path[-1])
            case "add":
                table[draw(TEXTS)] = draw(VALUES)
            case "remove":
                del table[path[-1]]
    return values, changed


@given(mutation=mutations())
@example(mutation=({"run": {"max_parallel": 10**400}}, []))
@example(mutation=({"models": {"openai:m": {"size": 10**400}}}, []))
@example(mutation=({"servers": {"[key]": {"[key]": 1}}}, []))
@example(mutation=({"mcp": {"a": {"url": "http://["}}}, []))
@example(mutation=({"allow": {"hosts": ["[::1]:x", "a:b"]}}, []))
def test_a_changed_file_is_settings_or_an_error_that_names_a_setting(
    tmp_path_factory: pytest.TempPathFactory, mutation: tuple[dict[str, Any], list[Path_]]
) -> None:
    directory = project(tmp_path_factory.mktemp("project"), file_of(mutation[0]))
    found = problems_of(directory)
    if found is None:
        ProjectSettings.load(directory)
        orc.Permissions.load(directory)
        ModelSettings.load(directory)
        LimitSettings.load(directory)
        ProjectBudget.load(directory)
        load_servers(directory)
        NoticeSettings.load(directory)
        return
    top = {*mutation[0]}
    for problem in found.errors:
        assert problem.keys[0] in top
        assert problem.message in found.message
    assert re.match(rf"{re.escape(str(directory))}/orchestrator\.toml:", found.message)
    assert "input should" not in found.message.lower()
    assert "is invalid;" not in found.message  # words for a refusal that the schema does not foresee
    assert "pydantic" not in str(found).lower()
    assert str(pickle.loads(pickle.dumps(found))) == str(found)


@pytest.mark.parametrize("path", [path for path in PATHS if not set(path) & set(OPEN)], ids=".".join)
@pytest.mark.parametrize("value", [HIDDEN, [HIDDEN, 1], [[HIDDEN]], f"http://me:{HIDDEN}@lab/v1", {"inner": HIDDEN}])
def test_no_value_of_the_file_is_shown(tmp_path: Path, path: Path_, value: Any) -> None:
    values = tomllib.loads(FULL)
    table = values
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    assert HIDDEN not in str(problems_of(project(tmp_path, file_of(values))))


def test_the_full_file_is_valid_and_has_every_setting(tmp_path: Path) -> None:
    check_settings(project(tmp_path, FULL))

    def settings_of(model: type[SettingsTable]) -> set[str]:
        return {name for name, field in model.model_fields.items() if field.examples}

    named = {key for path in PATHS for key in path}
    assert set().union(*map(settings_of, all_tables(SettingsTable))) <= named


def all_tables(model: type[SettingsTable]) -> Iterator[type[SettingsTable]]:
    for each in model.__subclasses__():
        yield each
        yield from all_tables(each)


def test_the_names_that_are_known_without_the_schema_are_its_names() -> None:
    assert sorted(NAMES) == sorted(name for section in SECTIONS for name in section.model_fields)


def test_every_example_of_the_schema_is_valid(tmp_path: Path) -> None:
    for table in all_tables(SettingsTable):
        for name, field in table.model_fields.items():
            for each in field.examples or ():
                table.model_validate(tomllib.loads(f"{name} = {each}"))


def test_every_problem_of_a_file_is_reported_with_its_line(tmp_path: Path) -> None:
    text = """\
tols = ["a.py"]
[run]
# a comment
max_parallel = 0
timeout = "soon"
[models]
defalt = "x"
[models."opnai:gpt-5"]
quality = 9
[servers.lab]
kind = "opnai"
[limits.opneai]
requests_per_minute = 1
[mcp.x]
headers_env = {A = "Bearer x"}
[allow]
hosts = [
  "db:5432",
  "http://db",
]
"""
    found = problems_of(project(tmp_path, text))
    assert found is not None
    assert found.message.split("\n")[1:] == [
        "  line 1: unknown setting `tols`; did you mean `tools`?",
        "  line 4: `run.max_parallel` must be an integer of at least 1; write for example `max_parallel = 8`",
        '  line 5: `run.timeout` is not a duration: `soon` is not understood; write for example `timeout = "30m"`',
        "  line 7: unknown setting `models.defalt`; did you mean `default`?",
        '  line 8: `models."opnai:gpt-5"`: unknown provider `opnai`; did you mean `openai:gpt-5`?',
        '  line 9: `models."opnai:gpt-5".quality` must be an integer from 1 to 5; write for example `quality = 3`',
        '  line 10: `servers.lab.base_url` is missing; write `base_url = "http://localhost:8000/v1"`',
        "  line 11: `servers.lab.kind`: unknown kind `opnai`; did you mean `openai`?",
        "  line 12: `limits.opneai`: unknown provider `opneai`; did you mean `openai`?",
        '  line 14: `mcp.x` must have either a `command` or a `url`; write `command = ["npx", "a-server"]` to start a '
        'program, or `url = "https://..."` to call a URL',
        "  line 15: `mcp.x.headers_env.A` must name environment variables, not contain a secret; put the secret into "
        "an environment variable, and use its name",
        "  line 17: `allow.hosts`: `http://db`: it is not a host; write only the name, without `http://` and without "
        '`*`; write for example `hosts = ["db.internal:5432"]`',
    ]


def test_what_other_programs_call_a_setting_is_a_setting_of_that_table() -> None:
    for table in all_tables(SettingsTable):
        assert set(table.elsewhere.values()) <= set(table.model_fields), table
        assert not set(table.elsewhere) & set(table.model_fields), table
    assert set(validation._TABLES_ELSEWHERE.values()) <= set(NAMES)


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        (
            '[servers.openai]\nurl = "http://lab/v1"',
            "unknown setting `servers.openai.url`",
            "did you mean `base_url`, the address?",
        ),
        (
            f'[servers.lab]\nbase_url = "http://lab/v1"\napi_key = "{HIDDEN}"',
            "unknown setting `servers.lab.api_key`",
            "did you mean `api_key_env`, the variable that contains the key?",
        ),
        (
            '[servers.lab]\nbase_url = "http://lab/v1"\ntype = "openai"',
            "unknown setting `servers.lab.type`",
            "did you mean `kind`, the protocol?",
        ),
        (
            "[limits.openai]\nrpm = 5",
            "unknown setting `limits.openai.rpm`",
            "did you mean `requests_per_minute`, requests per minute?",
        ),
        ('[providers.lab]\nbase_url = "http://lab/v1"', "unknown setting `providers`", "did you mean `servers`?"),
        (
            '[models]\nmodel = "openai:gpt-5"',
            "unknown setting `models.model`",
            "did you mean `default`, the model of `auto`?",
        ),
        (
            "[limits]\nopenai = 500",
            "`limits.openai` is not a table",
            "write `[limits.openai]` on a separate line and its settings below it, such as `requests_per_minute = 500`",
        ),
        (
            '[models]\n"openai:gpt-5" = 1',
            '`models."openai:gpt-5"` is not a table',
            'write `[models."openai:gpt-5"]` on a separate line and its settings below it, '
            "such as `input_price = 0.25`",
        ),
        (
            '[servers]\nlab = "http://lab/v1"',
            "`servers.lab` is not a table",
            "write `[servers.lab]` on a separate line and its settings below it, such as "
            '`base_url = "http://localhost:8000/v1"`',
        ),
    ],
)
def test_the_help_for_a_setting_shows_what_was_probably_meant(
    tmp_path: Path, text: str, message: str, help: str
) -> None:
    found = problems_of(project(tmp_path, text))
    assert found is not None
    assert [(each.message, each.help) for each in found.errors] == [(message, help)]


@pytest.mark.parametrize(
    "text", ["a = 1" + "0" * 5000, "a = " + "[" * 100_000, "a", 'a = "\\q"', "a = 1\na = 2", "[a]\n[a]"]
)
def test_what_is_not_toml_is_an_error_of_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        check_settings(project(tmp_path, text))


def test_the_lines_of_keys_are_those_of_their_statements() -> None:
    text = """\
a = 1 # b = 2
c = [
  1, # d = 2
  2,
]

e = '''
f = 1
'''
g.h = {i = 1}
[j."k.l"]
# m = 1
n = \"""
[o]
\"""
[[p]]
q = 1
[[p]]
q = 2
[j]
r = 1
"""
    assert key_lines(text) == {
        ("a",): 1,
        ("c",): 2,
        ("e",): 7,
        ("g",): 10,
        ("g", "h"): 10,
        ("g", "h", "i"): 10,
        ("j",): 11,
        ("j", "k.l"): 11,
        ("j", "k.l", "n"): 13,
        ("p",): 16,
        ("p", "q"): 17,
        ("j", "r"): 21,
    }


@given(st.lists(st.sampled_from([path for path in PATHS if len(path) == 1]), unique=True))
def test_the_lines_of_a_generated_file_are_found(order: list[Path_]) -> None:
    values = tomllib.loads(FULL)
    text = file_of({path[0]: values[path[0]] for path in order})
    lines = key_lines(text)
    assert [lines[path] for path in order] == list(range(1, len(order) + 1))


def test_a_value_of_many_lines_costs_no_time() -> None:
    assert key_lines('a = """\n' + "x\n" * 500_000 + '"""\nb = 1\n') == {}


def test_the_schema_is_loaded_only_for_tables_that_are_read(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from orchestrator.config.project_file import ProjectFile
file = ProjectFile.load(Path.cwd())
assert not file.has("limits", "mcp")
print([name for name in sys.modules if name in ("orchestrator.config.tables", "pydantic")])
"""
    project(tmp_path, "[models]\ndefault = 'openai:m'\n")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
