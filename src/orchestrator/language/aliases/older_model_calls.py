"""The model calls of the older dialect, and its tools that are model calls here."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named

_PROMPT: Final = {
    **named("prompt", "input", "message", "query", "request", "task", "instruction", "instructions"),
    **named("system", "system_prompt", "system_message"),
    **named("max_tokens", "max_completion_tokens", "max_length"),
}
_REPLY: Final = {
    **named("text", "content", "response", "generated_text", "answer", "message"),
    **named("model", "model_used", "model_id", "selected_model"),
    **named("why", "reason", "reasoning", "selection_reason"),
}
TEXT: Final = OlderCall(
    "model.generate_text", ("", "generate", "call", "execute", "run"), parameters=_PROMPT, results=_REPLY
)

_CHOSEN: Final = {
    **TEXT.parameters,
    **named("model", "models", "candidate_models", "available_models", "candidates"),
    **named("selection", "strategy", "routing_strategy", "optimization", "optimize_for"),
}
_SELECTIONS: Final = {
    **dict.fromkeys(
        ("cost_optimized", "cost-optimized", "optimize_cost", "cheapest", "low_cost"), ("selection", "cost")
    ),
    **dict.fromkeys(("speed_optimized", "fastest", "performance", "latency", "low_latency"), ("selection", "speed")),
    **dict.fromkeys(("quality_optimized", "best", "accuracy", "best_quality"), ("selection", "quality")),
    **dict.fromkeys(("auto", "capability_based", "adaptive", "default"), ("selection", "balanced")),
}
STRUCTURED: Final = OlderCall(
    "model.generate",
    TEXT.actions,
    parameters={**_PROMPT, **named("schema", "json_schema", "output_schema", "response_schema")},
    results={**named("data", "content", "response", "structured_output"), "model_used": "model"},
)
ROUTED: Final = OlderCall(
    "model.generate_text",
    ("", "route", "delegate", "execute", "select", "generate", "run"),
    parameters=_CHOSEN,
    results=_REPLY,
    words={"selection": _SELECTIONS},
    told=dict.fromkeys(("context", "task_type", "complexity"), "prompt"),
    instead={
        "max_cost": "write `requires_model: {max_cost: ...}`, or a `budget` of the step",
        "constraints": "write what the model must have as `requires_model`: `{capabilities: [...], max_cost: ...}`",
        "requirements": "write what the model must have as `requires_model`: `{capabilities: [...], context: 128k}`",
        "fallback_enabled": "write the models in their order of preference: `model: [first, second]`",
    },
)
SEEN: Final = OlderCall(
    "model.generate_text",
    ("", "analyze", "analyse", "describe", "execute"),
    parameters={**_PROMPT, **named("images", "image", "image_path", "image_file", "file", "path", "image_url")},
    results={**_REPLY, **named("text", "analysis", "description", "caption")},
    constants={"prompt": "Describe the image."},
    ignored={"analysis_type": ("describe", "description", "caption", "general"), "detail": ("auto",)},
    words={
        "analysis_type": {
            **dict.fromkeys(
                ("detect_objects", "object_detection", "objects"),
                ("prompt", "List the objects in the image, each with its place."),
            ),
            **dict.fromkeys(
                ("ocr", "extract_text", "text", "text_extraction", "detect_text"),
                ("prompt", "Write down word for word the text in the image."),
            ),
            **dict.fromkeys(
                ("classify", "classification", "tags", "tagging"),
                ("prompt", "Say in a few words which kind of image this is, and what it shows."),
            ),
        }
    },
    told=dict.fromkeys(("analysis_type", "categories", "focus", "language"), "prompt"),
    without_effect=dict.fromkeys(
        ("detail", "detail_level", "confidence_threshold"),
        "the model sees the whole image, and says what it is sure of",
    ),
)
HEARD: Final = OlderCall(
    "model.generate_text",
    ("transcribe", "transcription"),
    parameters={**_PROMPT, **named("files", "audio", "audio_path", "audio_file", "file", "path", "input_path")},
    results={**_REPLY, **named("text", "transcript", "transcription")},
    constants={"prompt": "Write down word for word what is said in this recording."},
    told={"language": "prompt"},
)
WATCHED: Final = OlderCall(
    "model.generate_text",
    ("analyze", "analyse", "describe"),
    parameters={**_PROMPT, **named("files", "video", "video_path", "video_file", "file", "path", "input_path")},
    results={**_REPLY, **named("text", "analysis", "description")},
    constants={"prompt": "Describe what happens in this video."},
    ignored={"analysis_type": ("describe", "description", "general")},
    told=dict.fromkeys(("analysis_type", "focus", "language"), "prompt"),
)
IMPROVED: Final = OlderCall(
    "model.generate_text",
    ("", "optimize", "optimise", "improve", "execute"),
    parameters=named("prompt", "original_prompt", "base_prompt", "input_prompt"),
    results={**_REPLY, **named("text", "optimized_prompt", "improved_prompt")},
    constants={
        "system": "You improve prompts for language models. Keep what the prompt asks for, and make it clear, specific "
        "and complete. Answer with the improved prompt alone."
    },
    told=dict.fromkeys(
        ("optimization_goals", "goals", "task", "target_model", "strategy", "constraints", "context"), "system"
    ),
    instead={"iterations": "repeat the step: `until: iteration >= 3` with the step below `steps:`"},
)
ANALYSES: Final = (
    OlderCall(
        "model.generate_text",
        ("", "analyze_text"),
        parameters=_PROMPT,
        results={**_REPLY, "analysis": "text"},
        when={"text": (None,), "prompt": (...,)},
        replaces=True,
    ),
    OlderCall(
        "model.analyze_text",
        ("", "analyze_text"),
        parameters={
            **named("instruction", "prompt", "instructions", "question"),
            **named("text", "content", "input"),
            **named("system", "system_prompt"),
            **named("max_tokens", "max_completion_tokens"),
        },
        results={**named("analysis", "content", "response"), "model_used": "model"},
        when={"text": (...,), "instruction": (...,)},
        replaces=True,
    ),
)

PROSE: Final = replace(TEXT, parameters={})
"""What an action in plain English means in a file with `prose_actions: true`."""

PROSE_SETTINGS: Final = frozenset(
    {"prompt", "images", "files", "response_format", "schema", "vars", "model", "requires_model", "selection", "system"}
    | {"personality", "effort", "temperature", "max_tokens", "seed", "stop"}
)
"""The parameters of such a call; all others become sentences of its prompt."""
