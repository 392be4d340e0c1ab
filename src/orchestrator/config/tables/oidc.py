"""The table of logins with an identity provider."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import SettingsTable, setting


class OidcTable(SettingsTable):
    """Logging in with an identity provider (OpenID Connect): what a user may do follows from the user's groups.

    `issuer`, `client_id`, `url` and `groups` are required.
    """

    elsewhere: ClassVar = {
        **dict.fromkeys(("provider", "issuer_url", "authority"), "issuer"),
        **dict.fromkeys(("secret", "client_secret"), "client_secret_env"),
        **dict.fromkeys(("redirect_url", "redirect_uri", "base_url"), "url"),
    }

    issuer: kinds.Url | None = setting('"https://login.example.com"', "the address of the provider, as it names itself")
    client_id: kinds.Text | None = setting('"orchestrator"', "what the provider calls this server")
    client_secret_env: kinds.Variable | None = setting(
        '"ORCHESTRATOR_OIDC_SECRET"',
        "the environment variable with the secret that the provider gave this server; by default it has none",
    )
    url: kinds.Url | None = setting(
        '"https://runs.example.com"',
        "the address of this server in browsers. The provider must permit it, followed by `/login/oidc/callback`, as a "
        "redirect",
    )
    label: kinds.Text = setting('"Example Inc."', "what the login button calls the provider", "single sign-on")
    scopes: kinds.Texts = setting(
        '["openid", "groups"]', "what the server asks of the provider", ("openid", "profile", "email")
    )
    name_claim: kinds.Text = setting(
        '"email"', "the claim with the name of a user, as the journal records it", "preferred_username"
    )
    groups_claim: kinds.Text = setting('"roles"', "the claim with the groups of a user", "groups")
    groups: dict[str, kinds.Scopes] = Field(
        default_factory=dict,
        description="the scopes of each group of the provider; users in none of them cannot log in",
        examples=['{ops = ["admin"], staff = ["read", "answer"]}'],
    )
    session: kinds.PositiveDuration = setting('"8h"', "how long a login lasts", 43_200.0)
