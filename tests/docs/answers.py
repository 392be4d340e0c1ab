"""What the model of the Ollama answers on the pages of the documentation, by patterns in what it is asked."""

from typing import Any, Final

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "auto": {
        "A calm day": {"level": "debug"},
        "How much does this matter": {"level": "warning"},
        "Greetings from the harbour office": {"message": "Greetings from the harbour office"},
    },
    "checks": {
        "Solar cells turn light": "Solar cells turn light into power. They last for thirty years.",
        "title for a page": "Power from light",
    },
    "costs": {"Say it louder": "HELLO!", "Say hello": "Hello!"},
    "first-model": {"My kettle leaks": "Please send the kettle back to us. A new one is on its way."},
    "model-steps": {
        "The app crashes": {
            "summary": "The app crashes when an invoice is opened.",
            "email": "ada@example.org",
            "date": "2026-03-01",
            "urgency": "low",
            "tags": ["app", "invoice"],
        },
        "Give this text a label": {"label": "billing"},
        "Read the data out": {"amount": 12.5, "date": "2026-03-01", "order": None},
        "billed twice": "A customer was billed twice.",
    },
    "testing": {"Summarize in one sentence": "Tides rise and fall."},
}
