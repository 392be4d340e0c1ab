"""What the tests of the tool `model` share: a desk to call its actions at, and a model that is told what to say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.models.actions import model_tools
from orchestrator.models.calls.gateway import ModelGateway
from orchestrator.models.calls.service import ModelService
from orchestrator.tools import Permissions, Unresolved, call_action
from tests.models.asked import Client, Host
from tests.tools.support import FakeContext

if TYPE_CHECKING:
    from orchestrator.models.messages import ModelClient, ModelReply, ModelRequest

MODEL = "openai:gpt-5-mini"


@dataclass
class Context(FakeContext):
    """A context that offers a gateway."""

    gateway: ModelGateway | None = None

    def service(self, kind: type[Any]) -> Any:
        assert kind is ModelGateway
        return self.gateway


@dataclass
class Desk:
    """Calls actions of `model` with `answers`, one after another; `requests` is what the model was asked."""

    directory: Path
    client: Client = field(default_factory=Client)
    host: Host = field(default_factory=Host)
    context: Context | None = None

    def says(self, *answers: str | ModelReply | Exception, model: str = MODEL) -> Desk:
        self.client.answers[model] = list(answers)
        return self

    @property
    def requests(self) -> list[ModelRequest]:
        return [request for _, request, _ in self.client.asked]

    @property
    def request(self) -> ModelRequest:
        return self.requests[-1]

    @property
    def prompt(self) -> str:
        content = self.request.messages[-1].content
        return content if isinstance(content, str) else next(part for part in content if isinstance(part, str))

    def __call__(self, action: str, /, *, client: ModelClient | None = None, **parameters: Any) -> Any:
        return asyncio.run(self.acall(action, client=client, **parameters))

    async def acall(self, action: str, /, *, client: ModelClient | None = None, **parameters: Any) -> Any:
        found = model_tools().resolve(None, action)
        assert not isinstance(found, Unresolved), found
        service = ModelService(self.directory, client=client or self.client)
        self.context = Context(Permissions(self.directory), gateway=service.for_run().for_step(self.host))
        return await call_action(found[1], {"model": MODEL, **parameters}, self.context)
