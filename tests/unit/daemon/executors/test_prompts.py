"""What a CLI's model is told, and the questions found in what it says."""

import pytest

from local_daemon.executors import port, prompts


def test_the_prompt_holds_all_the_planner_said(task):
    said = port.Surroundings(
        context="A web shop.",
        constraints=("No new packages.",),
        acceptance=("The tests pass.",),
        allowed_paths=("src/**",),
        forbidden_paths=("src/secret/**",),
    )
    prompt = prompts.prompt_build(task(goal="Mend it.", surroundings=said), continues=False)
    assert prompt.startswith("Mend it.\n")
    positions = [
        prompt.index(text)
        for text in (
            "A web shop.",
            "- No new packages.",
            "- The tests pass.",
            "- src/**",
            "- src/secret/**",
            "QUESTION:",
        )
    ]
    assert positions == sorted(positions)


def test_a_thread_that_goes_on_is_told_the_answer_only(task):
    given = task(goal="Mend it.", question="Tabs or spaces?", answer="Tabs.")
    prompt = prompts.prompt_build(given, continues=True)
    assert "Tabs." in prompt
    assert "Mend it." not in prompt


def test_a_thread_that_could_not_go_on_is_told_what_was_asked_and_answered(task):
    given = task(goal="Mend it.", question="Tabs or spaces?", answer="Tabs.")
    prompt = prompts.prompt_build(given, continues=False)
    assert all(text in prompt for text in ("Mend it.", "Tabs or spaces?", "Tabs."))


@pytest.mark.parametrize(
    ("message", "questions"),
    [
        ("All done.", ()),
        ("QUESTION: Which database?", ("Which database?",)),
        ("I stopped.\n\n- **QUESTION:** Which one?\n> QUESTION: And why?\n", ("Which one?", "And why?")),
        ("The word QUESTION: in a line is no question.", ()),
        ("QUESTION:\n", ()),
        ("  \n\t> QUESTION:\tWhich?  \n", ("Which?",)),
        ("QUESTION: One?\r\n_QUESTION_: no\n# **QUESTION: Two?**", ("One?", "Two?")),
        ("QUESTION: QUESTION: twice?", ("QUESTION: twice?",)),
        ("\n".join(f"QUESTION: {number}?" for number in range(50)), tuple(f"{number}?" for number in range(10))),
    ],
)
def test_questions_are_lines_that_say_so(message, questions):
    assert prompts.questions_find(message) == questions


MEGABYTES = 2_000_000


@pytest.mark.parametrize(
    "message",
    [
        "\n" * MEGABYTES,
        " " * MEGABYTES + "x",
        "QUESTION: a" + " " * MEGABYTES + "x",
        "QUESTION:\n" * (MEGABYTES // 10),
        " " * MEGABYTES + "QUESTION:" * (MEGABYTES // 9),
        "> " * MEGABYTES,
    ],
    ids=["newlines", "blanks", "blanks in a question", "empty questions", "words without end", "marks"],
)
def test_megabytes_of_nothing_are_searched_in_one_go(message):
    """Each of these kept a pattern, and with it the whole daemon, for hours."""
    found = prompts.questions_find(f"{message}\nQUESTION: And now?")
    assert found[-1] == "And now?"
