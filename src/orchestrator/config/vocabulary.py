"""The closed sets of words in `orchestrator.toml`. Apart from the schema, so that their users do not load Pydantic."""

from __future__ import annotations

from typing import Final, Literal, get_args

ServerKind = Literal["openai", "anthropic", "google", "huggingface", "ollama", "mistral", "groq", "bedrock"]
"""The protocol of a server. `openai` is OpenAI's chat completions, which most others offer too."""

Capability = Literal[
    "streaming", "tools", "json_schema", "vision", "audio", "video", "files", "embeddings", "reasoning", "code",
    "image_generation", "transcription", "speech",
]  # fmt: skip
"""What a model may be able to do. `code`: it is good at writing programs; `files`: it reads PDF files. The last three:
it makes pictures, transcripts of recordings, or speech."""

CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)

Period = Literal["day", "month", "all"]
"""How long a budget lasts: a day or a month by UTC, or for good."""

SearchProvider = Literal["ddgs", "searxng", "brave", "tavily", "exa"]
"""What searches the web: the library DDGS, a SearXNG server, or the API of a company."""

TargetType = Literal["webhook", "slack", "smtp"]
"""How a target of notices is reached: a signed webhook, a webhook as Slack has it, or mail."""

MailSecurity = Literal["starttls", "tls", "none"]
"""How a connection to a mail server is encrypted."""

AccessScope = Literal["read", "run", "answer", "admin"]
"""What a token, or a group of an identity provider, permits on a server."""
