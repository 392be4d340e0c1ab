"""Who may use the server: tokens, sessions of browsers, scopes, and where requests may come from."""
