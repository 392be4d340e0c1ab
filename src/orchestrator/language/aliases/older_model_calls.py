"""The model calls of the older dialect, and its tools that are model calls here."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named

_PROMPT: Final = {
    **named("prompt", "user_prompt", "input", "message", "query", "request", "task", "instruction", "instructions"),
    **named("system", "system_prompt", "system_message"),
    **named("max_tokens", "max_completion_tokens", "max_length"),
}
_REPLY: Final = {
    **named("text", "content", "response", "generated_text", "answer", "message"),
    **named("model", "model_used", "model_id", "selected_model"),
    **named("why", "reason", "reasoning", "selection_reason"),
}
TOLD: Final = (
    *("style", "tone", "audience", "target_audience", "language", "length", "context", "focus", "topic", "examples"),
    *("guidelines", "requirements", "constraints", "detail_level", "word_count", "target_length", "output_format"),
    *(
        "persona",
        "role",
        "criteria",
        "additional_context",
        "format",
        "sections",
        "keywords",
        "data",
        "text",
        "content",
        "document",
    ),
)
"""What a model is asked for in the older dialect next to its prompt: it becomes further sentences of the prompt."""
_JSON: Final = {"json_mode": {"true": ("response_format", "json"), "false": ("response_format", "text")}}
_SAMPLING: Final = {
    **dict.fromkeys(
        ("top_p", "top_k", "frequency_penalty", "presence_penalty", "n"), "how random an answer is, `temperature` says"
    ),
    **dict.fromkeys(("stream", "streaming"), "answers are streamed to those that watch a run"),
    **dict.fromkeys(("cache", "use_cache", "cache_results"), "write `cache: true` in the step to keep its result"),
    **dict.fromkeys(("verbose", "debug", "log_level"), "the log of a run has every call"),
}
TEXT: Final = OlderCall(
    "model.generate_text",
    ("", "generate", "call", "execute", "run", "generate_text"),
    parameters=_PROMPT,
    results=_REPLY,
    told=dict.fromkeys(TOLD, "prompt"),
    words=_JSON,
    without_effect=_SAMPLING,
    replaces=True,
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
    told=dict.fromkeys(TOLD, "prompt"),
    without_effect=_SAMPLING,
    results={**named("data", "content", "response", "structured_output"), "model_used": "model"},
)
ROUTED: Final = OlderCall(
    "model.generate_text",
    ("", "route", "delegate", "execute", "select", "generate", "run"),
    parameters=_CHOSEN,
    results=_REPLY,
    words={"selection": _SELECTIONS},
    told=dict.fromkeys((*TOLD, "task_type", "complexity"), "prompt"),
    without_effect={
        **_SAMPLING,
        **dict.fromkeys(
            ("cost_weight", "quality_weight", "speed_weight", "latency_weight"),
            "models are tried in the order of `selection`: `cost`, `speed`, `quality` or `balanced`",
        ),
        **dict.fromkeys(
            ("fallback_enabled", "enable_fallback", "fallback"), "the next model is called when one does not answer"
        ),
        "max_concurrent": "one call goes to one model",
    },
    computed={"reasons": "[STEP.why]", "routing_strategy": "STEP.why", "estimated_cost": "STEP.cost"},
    instead={
        "max_cost": "write `requires_model: {max_cost: ...}`, or a `budget` of the step",
        "tasks": "repeat the step for each: `for_each: [...]`, with `{{ item }}` in the prompt",
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
    "audio.transcribe",
    ("transcribe", "transcription", "speech_to_text"),
    parameters=named("file", "audio", "audio_path", "audio_file", "path", "input_path", "input"),
    results={
        **named("text", "content", "response", "transcript", "transcription"),
        **named("model", "model_used"),
        **named("seconds", "duration"),
    },
    ignored={"output_format": ("text", "json"), "format": ("text", "json")},
)
SPOKEN: Final = OlderCall(
    "audio.speak",
    ("speak", "synthesize", "synthesise", "text_to_speech", "tts", "generate_speech"),
    parameters={
        **named("text", "content", "input", "message"),
        **named("path", "output_path", "output_file", "output", "filename"),
        **named("voice", "voice_id", "voice_name"),
        **named("instructions", "style", "tone"),
    },
    results={
        **named("path", "filepath", "file_path", "audio_path", "audio_file", "output_path"),
        "model_used": "model",
    },
)
_PICTURE: Final = {
    **named("path", "output_path", "output_file", "output", "filename", "save_path", "file"),
    **named("count", "n", "num_images", "number_of_images", "number"),
    **named("size", "dimensions", "resolution", "aspect_ratio"),
}
_PICTURES: Final = {
    **named("path", "filepath", "file_path", "image_path", "image", "output_path", "file"),
    **named("files", "images", "results"),
    **named("text", "revised_prompt"),
    "model_used": "model",
}
_INSTEAD_OF_SIZES: Final = dict.fromkeys(("width", "height"), "write `size: 1024x1024`, or another size of the model")
PAINTED: Final = OlderCall(
    "image.generate",
    ("", "generate", "create", "execute", "generate_image"),
    parameters={**named("prompt", "description", "text", "input"), **_PICTURE},
    results=_PICTURES,
    told=dict.fromkeys(("style", "negative_prompt"), "prompt"),
    instead=_INSTEAD_OF_SIZES,
)
REPAINTED: Final = OlderCall(
    "image.edit",
    ("edit", "modify", "transform", "inpaint"),
    parameters={
        **named("prompt", "description", "instruction", "instructions"),
        **named("image", "image_path", "input_path", "image_file"),
        **named("mask", "mask_path"),
        **_PICTURE,
    },
    results=_PICTURES,
    told=dict.fromkeys(("style", "negative_prompt"), "prompt"),
    instead=_INSTEAD_OF_SIZES,
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
        (
            *("optimization_goals", "goals", "task", "target_model", "strategy", "constraints", "context"),
            *("preserve_intent", "max_length", "audience", "style", "tone", "optimization_type"),
        ),
        "system",
    ),
    instead={"iterations": "repeat the step: `until: iteration >= 3` with the step below `steps:`"},
)
_INPUT: Final = named("text", "content", "input", "data")
SUMMARY: Final = OlderCall(
    "model.summarize",
    ("", "summarize"),
    parameters={**_INPUT, **named("max_words", "max_length", "word_limit")},
    results={**named("summary", "content", "response", "text"), "model_used": "model"},
    words={
        "style": {
            **dict.fromkeys(("bullet", "bullet_points", "bullet-points", "list"), ("style", "bullets")),
            **dict.fromkeys(("concise", "brief", "short"), ("length", "short")),
        }
    },
    replaces=True,
)
CLASSIFIED: Final = OlderCall(
    "model.classify",
    ("", "classify"),
    parameters={**_INPUT, **named("labels", "categories", "classes", "options"), **named("instruction", "prompt")},
    results={**named("label", "category", "class", "classification"), "model_used": "model"},
    replaces=True,
)
TRANSLATED: Final = OlderCall(
    "model.generate_text",
    parameters=named("prompt", "text", "content", "input"),
    results={**_REPLY, **named("text", "translation", "translated_text")},
    constants={"system": "Translate the text. Answer with the translation alone."},
    told=dict.fromkeys(("target_language", "source_language", "language", "style", "tone"), "system"),
)
ANALYSES: Final = (
    OlderCall(
        "model.generate_text",
        ("", "analyze_text"),
        parameters=_PROMPT,
        results={**_REPLY, "analysis": "text"},
        told=dict.fromkeys((*(name for name in TOLD if name != "text"), "analysis_type"), "prompt"),
        without_effect=_SAMPLING,
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
        told=dict.fromkeys((name for name in TOLD if name not in ("sections", "text", "content")), "instruction"),
        without_effect=_SAMPLING,
        when={"text": (...,)},
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
