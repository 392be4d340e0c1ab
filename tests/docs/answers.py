"""What the model of the Ollama answers on the pages of the documentation, by patterns in what it is asked."""

from typing import Any, Final

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "auto": {
        "A calm day": {"level": "debug"},
        "How much does this matter": {"level": "warning"},
        "Greetings from the harbour office": {"message": "Greetings from the harbour office"},
    },
    "batch-with-budget": {"kettle": {"label": "praise"}, "lid": {"label": "complaint"}},
    "checks": {
        "Solar cells turn light": "Solar cells turn light into power. They last for thirty years.",
        "title for a page": "Power from light",
    },
    "costs": {"Say it louder": "HELLO!", "Say hello": "Hello!"},
    "first-model": {"My kettle leaks": "Please send the kettle back to us. A new one is on its way."},
    "human-in-the-loop": {
        "because: say when": "Your parcel comes on Monday.",
        "Answer this customer": "We do not know.",
    },
    "judge-and-improve": {
        "Polite, and it asks": [
            {"reason": "It is rude.", "score": 0.3, "suggestions": ["Ask for a date."]},
            {"reason": "It asks for a date.", "score": 0.9, "suggestions": []},
        ],
        "letter of complaint": ["Where is my parcel?!", "Could you please tell me when my parcel will come?"],
        "slogan for a lighthouse": ["The light that has never gone out", "Light for every night"],
    },
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
    "only-what-is-new": {
        "tide rises": "The tide rises at noon.",
        "moon is full": "The moon is full on Monday.",
    },
    "plan-and-execute": {
        "Plan a short guide": {
            "parts": [
                {"title": "Walls", "question": "When to walk the walls?"},
                {"title": "Beach", "question": "When to go to the beach?"},
            ]
        },
        "Join these parts": "Walk the walls at noon, and the beach at low tide.",
        "walk the walls": "At noon.",
        "to the beach": "At low tide.",
    },
    "supervisor": {
        "Who works next": [
            {"next": "research", "task": "Look into the table of the tides.", "reason": "There are no notes."},
            {"next": "finish", "task": "", "reason": "The notes answer it."},
        ],
        "Find out": "The largest spring tide of the table is 13.1 metres.",
        "Answer the question": "Up to 13.1 metres.",
    },
    "testing": {"Summarize in one sentence": "Tides rise and fall."},
}
