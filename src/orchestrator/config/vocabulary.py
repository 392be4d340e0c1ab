"""The closed sets of words in `orchestrator.toml`. Apart from the schema, so that their users do not load Pydantic."""

from __future__ import annotations

from typing import Final, Literal, get_args

ServerKind = Literal["openai", "anthropic", "google", "huggingface", "ollama", "mistral", "groq", "bedrock"]
"""The protocol of a server. `openai` is OpenAI's chat completions, which most others offer too."""

Capability = Literal[
    "streaming", "tools", "json_schema", "vision", "audio", "video", "files", "embeddings", "reasoning", "code"
]
"""What a model may be able to do. `code`: it is good at writing programs; `files`: it reads PDF files."""

CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)

Period = Literal["day", "month", "all"]
"""How long a budget lasts: a day or a month by UTC, or for good."""
