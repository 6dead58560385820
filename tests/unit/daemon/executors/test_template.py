"""The operator's own command lines: blanks become arguments, one each, and only what was allowed."""

import pytest

from local_daemon.executors import port, template


def make(*command, **fields):
    return template.TemplateExecutor(template.Template(name="tool", command=("printf", *command), **fields))


async def test_every_blank_becomes_one_argument(run):
    executor = make("<%s>", "{goal}", "--style={params.style}", params={"style": "[a-z ]+"})
    done = await run(executor, goal="two words; $(rm -rf .) `id`\n", params={"style": "very plain"})
    assert done.stdout.read_text() == "<two words; $(rm -rf .) `id`\n><--style=very plain>"
    assert done.report.outcome is port.Outcome.SUCCEEDED


async def test_what_it_reads_is_what_the_operator_chose(run):
    cat = template.Template(name="tool", command=("cat",), input=template.Input.GOAL)
    assert (await run(template.TemplateExecutor(cat), goal="the goal")).stdout.read_text() == "the goal"


@pytest.mark.parametrize("style", ["", "a;b", "-x", "a\nb", 5, None, "a" * 2000])
def test_a_value_that_does_not_match_is_refused(task, style):
    executor = make("{params.style}", params={"style": "[a-z-]+"})
    with pytest.raises(port.TaskUnsuitable):
        executor.prepare(task(params={"style": style}))


def test_a_value_nobody_asked_for_is_refused(task):
    with pytest.raises(port.TaskUnsuitable, match="no other"):
        make("x").prepare(task(params={"other": "x"}))


def test_a_goal_cannot_become_an_option(task):
    with pytest.raises(port.TaskUnsuitable, match="dash"):
        make("{goal}").prepare(task(goal="--delete-everything"))
    assert (
        make("--message={goal}").prepare(task(goal="--delete-everything")).argv[-1] == "--message=--delete-everything"
    )


def test_more_than_an_argument_can_hold_is_refused_before_anything_starts(task):
    with pytest.raises(port.TaskUnsuitable, match="prompt_file"):
        make("--message={goal}").prepare(task(goal="é" * 65_000))


def test_a_missing_program_is_said_and_never_replaced(task):
    executor = template.TemplateExecutor(template.Template(name="tool", command=("no-such-program",)))
    assert executor.presence().status is port.AvailabilityStatus.MISSING
    with pytest.raises(port.TaskUnsuitable, match="no-such-program"):
        executor.prepare(task())
