"""The questions of all runs, and the forms that answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.page.support import Person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.page.support import Site


def question(ask: str) -> str:
    return f"steps:\n  - id: asked\n    ask: {ask}\noutputs: {{answer: '{{{{ asked }}}}'}}\n"


def ended(site: Site, run_id: str) -> Any:
    """Return the outputs of a run when it has ended."""
    with site.server.client.stream(run_id) as blocks:
        assert [data["state"] for name, _, data in blocks if name == "end"] == ["succeeded"]
    return site.server.client.json("GET", f"/v1/runs/{run_id}/result")["outputs"]


def test_without_questions_the_page_says_how_steps_ask(site: Site, person: Person):
    person.goes_to("/questions")
    expect(person.page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    assert person.violations() == []


def test_what_is_approved_is_shown_as_it_reads_and_can_be_edited(site: Site, person: Person):
    run_id = site.start("reports/ask", wait=0)
    page = person.page
    expect(page.get_by_role("link", name="Questions 1 open")).to_be_visible()
    person.goes_to("/questions")
    expect(page.get_by_role("heading", name="Send the letter?")).to_be_visible()
    expect(page.locator(".markdown strong")).to_have_text("Ada")
    assert person.violations() == []
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Content").fill("Dear Bob")
    page.get_by_label("Comment").fill("to the other one")
    page.get_by_role("button", name="Approve with the changes").click()
    expect(page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    assert ended(site, run_id) == {"sent": True, "letter": "Dear Bob"}
    answers = [
        e for e in site.server.client.json("GET", f"/v1/runs/{run_id}/events")["events"] if "answer" in e["type"]
    ]
    assert "127.0.0.1" in str(answers)


def test_an_approval_can_be_rejected(site: Site, person: Person):
    run_id = site.start("reports/ask", wait=0)
    person.goes_to("/questions")
    person.page.get_by_role("button", name="Reject").click()
    expect(person.page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    assert ended(site, run_id)["sent"] is False


def test_a_question_with_few_choices_is_answered_by_one_click(site: Site, person: Person):
    (site.directory / "q.yaml").write_text(question("{prompt: How fast?, choices: [slow, fast]}"))
    run_id = site.start("q", wait=0)
    person.goes_to("/questions")
    person.page.get_by_role("button", name="fast", exact=True).click()
    expect(person.page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    assert ended(site, run_id) == {"answer": "fast"}


@pytest.mark.parametrize(
    ("ask", "typed", "answer"),
    [
        ("How many?", "twelve or so", "twelve or so"),
        ("{prompt: How many?, type: integer, minimum: 1}", "12", 12),
        ("{prompt: What?, type: object}", '{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_answers_have_the_type_that_is_asked_for(site: Site, person: Person, ask: str, typed: str, answer: Any):
    (site.directory / "q.yaml").write_text(question(ask))
    run_id = site.start("q", wait=0)
    person.goes_to("/questions")
    person.page.get_by_label("Answer").fill(typed)
    person.page.get_by_role("button", name="Answer", exact=True).click()
    expect(person.page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    assert ended(site, run_id) == {"answer": answer}


def test_an_answer_that_does_not_fit_is_refused_with_the_reason(site: Site, person: Person):
    person.expected = ["422"]
    (site.directory / "q.yaml").write_text(question("{prompt: How many?, type: integer, minimum: 1}"))
    site.start("q", wait=0)
    person.goes_to("/questions")
    page = person.page
    page.get_by_label("Answer").fill("0")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("invalid answer")
    page.get_by_label("Answer").fill("none")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_text("Not a number.")).to_be_visible()


def test_of_two_people_one_answers_and_both_see_it(site: Site, person: Person, browser: Browser):
    site.start("reports/ask", wait=0)
    with Person.of(browser, site.address) as other:
        other.logs_in(site.token("answer"))
        other.page.get_by_role("link", name="Questions").click()
        person.goes_to("/questions")
        for each in (person, other):
            expect(each.page.get_by_role("heading", name="Send the letter?")).to_be_visible()
        other.page.get_by_role("button", name="Approve").click()
        for each in (person, other):
            expect(each.page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()


ORDER = """
steps:
  - id: order
    ask:
      prompt: An order
      questions:
        count: {prompt: How many?, type: integer, minimum: 1}
        speed: {prompt: How fast?, choices: [slow, fast], default: slow}
        name: For whom?
outputs: {order: "{{ order }}"}
"""


def test_several_questions_are_one_form_with_a_review_and_a_way_back(site: Site, person: Person):
    (site.directory / "q.yaml").write_text(ORDER)
    run_id = site.start("q", wait=0)
    person.goes_to("/questions")
    page = person.page
    expect(page.get_by_role("heading", name="An order")).to_be_visible()
    assert person.violations() == []
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_text("Required.")).to_have_count(2)
    page.get_by_label("How many?").fill("0")
    page.get_by_label("For whom?").fill("Ada")
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("button", name="Review")).to_be_hidden()
    answers = page.get_by_label("Your answers")
    expect(answers).to_contain_text("For whom?Ada")
    expect(answers).to_contain_text("How fast?slow")
    assert person.violations() == []
    person.expected = ["422"]
    page.get_by_role("button", name="Send the answers").click()
    expect(page.get_by_role("alert")).to_contain_text("must be at least 1")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("For whom?")).to_have_value("Ada")
    page.get_by_label("How many?").fill("2")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Send the answers").click()
    expect(page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    assert ended(site, run_id) == {"order": {"count": 2, "speed": "slow", "name": "Ada"}}


def test_who_is_not_asked_sees_for_whom_a_question_is_and_no_form(site: Site, person: Person, browser: Browser):
    (site.directory / "q.yaml").write_text(question("{prompt: Who?, assignee: [with-answer, managers]}"))
    run_id = site.start("q", wait=0)
    person.goes_to("/questions")
    note = "For with-answer, managers. You may answer because your token has the scope admin."
    expect(person.page.get_by_text(note)).to_be_visible()
    (site.directory / "other.yaml").write_text(question("{prompt: What?, assignee: ada}"))
    other_id = site.start("other", wait=0)
    with Person.of(browser, site.address) as other:
        other.logs_in(site.token("answer"))
        other.goes_to(f"/runs/{other_id}")
        expect(other.page.get_by_text("For ada. You are with-answer, so that you cannot answer.").first).to_be_visible()
        expect(other.page.get_by_label("Answer")).to_have_count(0)
        other.goes_to(f"/runs/{run_id}")
        other.page.get_by_label("Answer").fill("me")
        other.page.get_by_role("button", name="Answer", exact=True).click()
        assert ended(site, run_id) == {"answer": "me"}


def test_markup_in_what_a_model_wrote_does_nothing(site: Site, person: Person):
    content = (
        "Hello <script>window.hacked = 1</script><img src=x onerror='window.hacked=1'> [go](javascript:window.hacked=1)"
    )
    source = f"steps:\n  - id: review\n    approve: {{title: 'Send?', content: {content!r}}}\n"
    (site.directory / "q.yaml").write_text(source)
    site.start("q", wait=0)
    person.goes_to("/questions")
    expect(person.page.get_by_text("window.hacked = 1")).to_be_visible()
    assert person.page.evaluate("window.hacked") is None
