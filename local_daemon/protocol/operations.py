"""The one table of machine operations: what can be asked of a daemon, by whom, over which path, for how long.

The daemon's routes, the connector's allow-list, the relay's routes, the MCP tools, the CLI and the docs are driven by
it; what is not in it cannot be reached from outside the machine. It holds no behaviour: handlers stand in
`local_daemon/operations/`. Tests: tests/contract/test_operations.py.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import conversations as conversation_messages
from local_daemon.protocol import garbage, limits, manifests, messages, relocation, specs
from local_daemon.protocol import usage as usage_messages
from local_daemon.protocol.operation import Audience, Operation
from local_daemon.protocol.scopes import Scope

_RUNS = "/repositories/{repository_id}/runs"
_RUN = _RUNS + "/{run_id}"
_STEPS = "/repositories/{repository_id}/steps"
_STEP = _STEPS + "/{step_id}"
_GATES = "/repositories/{repository_id}/gates"
_GATE = _GATES + "/{gate_id}"
_ARTIFACT = "/repositories/{repository_id}/artifacts/{artifact_id}"

_CONVERSATIONS = "/repositories/{repository_id}/conversations"
_CONVERSATION = _CONVERSATIONS + "/{conversation_id}"

_change = partial(Operation, method="POST", mutates=True)

_ALL = (
    Operation(
        name="instance.get",
        title="This daemon",
        description="Who this daemon is, and its executors: which can be used here, which not and why, the "
        "profiles a task may name with each, and how a task's budget is held with it.",
        method="GET",
        path="/instance",
        scope=Scope.CONNECTORS_READ,
        response=messages.InstanceView,
        audience=Audience.OPERATOR,
    ),
    _change(
        name="repositories.add",
        title="Add a repository",
        description="Makes a git repository of this machine known to its daemon, by the path of any folder in it; "
        "with folder = true also a folder without git, of which each attempt gets a snapshot. Changes nothing in it. "
        "Adding it again returns it.",
        path="/repositories",
        scope=Scope.CONNECTORS_WRITE,
        request=messages.RepositoryAdd,
        response=messages.RepositoryView,
        audience=Audience.OPERATOR,
        success_status=201,
    ),
    Operation(
        name="repositories.list",
        title="Repositories",
        description="Repositories and folders without git that this daemon knows, in the order they were added; with "
        "a path only the one that holds that folder.",
        method="GET",
        path="/repositories",
        scope=Scope.CONNECTORS_READ,
        query=messages.RepositoryListQuery,
        response=messages.RepositoryPage,
        audience=Audience.OPERATOR,
    ),
    Operation(
        name="repositories.get",
        title="A repository",
        description="One repository: its head commit and where its event log stands.",
        method="GET",
        path="/repositories/{repository_id}",
        scope=Scope.PROJECTS_READ,
        response=messages.RepositoryView,
    ),
    _change(
        name="repositories.relocate",
        title="Relocate a repository",
        description="Says where a repository lies that was moved on this machine, or was forgotten, by the path of any "
        "folder in it. Refused where it holds no commit that work in it began with, and while work goes on.",
        path="/repositories/{repository_id}/relocate",
        scope=Scope.CONNECTORS_WRITE,
        request=relocation.RepositoryRelocate,
        response=relocation.RelocationView,
        audience=Audience.OPERATOR,
    ),
    _change(
        name="repositories.forget",
        title="Forget a repository",
        description="Takes a repository out of the list: it takes no new work, and can be added anew. What is on "
        "record of it stays, evidence too; relocating it makes it known again. Refused while work goes on or waits.",
        path="/repositories/{repository_id}/forget",
        scope=Scope.CONNECTORS_WRITE,
        request=messages.Empty,
        response=messages.RepositoryView,
        audience=Audience.OPERATOR,
        is_destructive=True,
    ),
    Operation(
        name="ids.list",
        title="Find ids",
        description="Ids of one kind in the repository that begin as somebody typed them, newest first; without a "
        "beginning the newest of all.",
        method="GET",
        path="/repositories/{repository_id}/ids",
        scope=Scope.RUNS_READ,
        query=messages.IdListQuery,
        response=messages.IdList,
        audience=Audience.OPERATOR,
    ),
    _change(
        name="runs.create",
        title="Start a run",
        description="Opens a run: one objective that holds steps, each added with steps_submit. With a name, a repeat "
        "returns the run that has it. Close it with runs_close.",
        path=_RUNS,
        scope=Scope.RUNS_WRITE,
        request=messages.RunCreate,
        response=messages.RunAnswer,
        success_status=201,
    ),
    Operation(
        name="runs.list",
        title="List runs",
        description="Runs of the repository, newest first, all or those in one state. Long objectives are cut; "
        "runs_get has all of it.",
        method="GET",
        path=_RUNS,
        scope=Scope.RUNS_READ,
        query=messages.RunListQuery,
        response=messages.RunPage,
    ),
    Operation(
        name="runs.get",
        title="Read a run",
        description="One run, its state and how many of its steps are in which state.",
        method="GET",
        path=_RUN,
        scope=Scope.RUNS_READ,
        response=messages.RunView,
    ),
    _change(
        name="manifests.submit",
        title="Submit a manifest",
        description=f"Queues a whole run at once: up to {limits.LIST_ITEMS} steps, in order or with what each depends "
        "on. It is checked as a whole, and refused as a whole; steps that wait for none run in parallel. With a name, "
        "a repeat returns what exists.",
        path="/repositories/{repository_id}/manifests",
        scope=Scope.STEPS_WRITE,
        request=manifests.RunManifest,
        response=messages.ManifestView,
        success_status=202,
    ),
    Operation(
        name="manifests.get",
        title="Read a manifest",
        description="The plan of a run that was submitted whole, and where each of its steps stands.",
        method="GET",
        path=_RUN + "/manifest",
        scope=Scope.STEPS_READ,
        response=messages.ManifestView,
    ),
    _change(
        name="runs.close",
        title="Close a run",
        description="Says that no further step comes; the run completes when every step has succeeded.",
        path=_RUN + "/close",
        scope=Scope.RUNS_WRITE,
        request=messages.Empty,
        response=messages.RunAnswer,
    ),
    _change(
        name="runs.cancel",
        title="Cancel a run",
        description="Asks every unfinished step of a run to end; what was done so far is kept as evidence.",
        path=_RUN + "/cancel",
        scope=Scope.RUNS_WRITE,
        request=messages.CancelRequest,
        response=messages.RunAnswer,
        is_destructive=True,
    ),
    _change(
        name="steps.submit",
        title="Submit a step",
        description=f"Queues one unit of work: a TaskSpec with the goal (up to {limits.GOAL_BYTES // limits.KIB} KiB) "
        "and the executor. It is done in a worktree of its own; nothing reaches a branch but by steps_apply. With a "
        "name, a repeat returns the step that has it, if the task is the same. Follow it with steps_wait and read "
        "steps_result.",
        path=_RUN + "/steps",
        scope=Scope.STEPS_WRITE,
        request=messages.StepSubmit,
        response=messages.StepAnswer,
        success_status=202,
    ),
    Operation(
        name="steps.list",
        title="List steps",
        description="Steps of a run and where each stands, oldest or newest first, all or those in one state.",
        method="GET",
        path=_RUN + "/steps",
        scope=Scope.STEPS_READ,
        query=messages.StepListQuery,
        response=messages.StepPage,
    ),
    Operation(
        name="steps.get",
        title="Read a step",
        description="One step: its state, why it failed, and the gate it waits on.",
        method="GET",
        path=_STEP,
        scope=Scope.STEPS_READ,
        response=messages.StepView,
    ),
    Operation(
        name="steps.task",
        title="Read a step's task",
        description="The TaskSpec a step was submitted with, and the policies that hold beside it.",
        method="GET",
        path=_STEP + "/task",
        scope=Scope.STEPS_READ,
        response=messages.TaskView,
    ),
    Operation(
        name="steps.wait",
        title="Wait for a step",
        description="Answers when the step has ended, waits on a gate or needs attention; else after timeout_s (at "
        f"most {limits.WAIT_S_MAX} s) with timed_out, and may be asked again at once.",
        method="GET",
        path=_STEP + "/wait",
        scope=Scope.STEPS_READ,
        query=messages.WaitQuery,
        response=messages.StepWait,
        deadline_s=limits.WAIT_S_MAX + 10,
    ),
    Operation(
        name="steps.result",
        title="Read a step's result",
        description="What a step came to, at any time: verdict, failure, question, changed files, validations, "
        "artifacts (the patch among them) and signed evidence of its newest attempt.",
        method="GET",
        path=_STEP + "/result",
        scope=Scope.STEPS_READ,
        response=specs.ResultSpec,
    ),
    _change(
        name="steps.cancel",
        title="Cancel a step",
        description="Asks a step to end: its whole process tree is stopped and its edits are kept. Answers at once; "
        "steps_wait tells when it has ended.",
        path=_STEP + "/cancel",
        scope=Scope.STEPS_WRITE,
        request=messages.CancelRequest,
        response=messages.StepAnswer,
        is_destructive=True,
    ),
    _change(
        name="steps.retry",
        title="Retry a step",
        description="Queues another attempt of a failed or cancelled step, with the same task and the same executor. "
        "One whose gate before work nobody approved waits on another.",
        path=_STEP + "/retry",
        scope=Scope.STEPS_WRITE,
        request=messages.Empty,
        response=messages.StepAnswer,
    ),
    _change(
        name="steps.resolve",
        title="Resolve a step",
        description="Says what a step that needs attention came to, once somebody has looked at it: failed, retry "
        "(another attempt), or accept (it counts as completed). Where nothing starts in its repository until then, it "
        "does again.",
        path=_STEP + "/resolve",
        scope=Scope.STEPS_WRITE,
        request=messages.StepResolve,
        response=messages.StepAnswer,
    ),
    _change(
        name="steps.apply",
        title="Apply a step's result",
        description="Brings the changes of a completed step onto a branch: cherry_pick, merge, or export as a new "
        "one. Names the patch's digest, as steps_result shows it. A conflict or a dirty checkout is answered as "
        "refused, and nothing is changed.",
        path=_STEP + "/apply",
        scope=Scope.GATES_DECIDE,
        request=application_messages.StepApply,
        response=application_messages.ApplicationAnswer,
        is_destructive=True,
    ),
    Operation(
        name="applications.list",
        title="List applications",
        description="Every time that a step's result was to be brought onto a branch, and what came of it.",
        method="GET",
        path=_STEP + "/applications",
        scope=Scope.STEPS_READ,
        query=messages.PageQuery,
        response=application_messages.ApplicationPage,
    ),
    Operation(
        name="attempts.list",
        title="List attempts",
        description="Every try of a step, oldest first: how it ended and what it cost.",
        method="GET",
        path=_STEP + "/attempts",
        scope=Scope.STEPS_READ,
        query=messages.PageQuery,
        response=messages.AttemptPage,
    ),
    Operation(
        name="steps.log",
        title="Read a step's output",
        description="A piece of the executor's standard output or error as text from an offset, also while it still "
        f"works: up to {limits.INLINE_ANSWER_BYTES // 2 // limits.KIB} KiB; go on at next_offset until is_complete. "
        "Of a very long output the middle is not kept, and the text says how much.",
        method="GET",
        path=_STEP + "/log",
        scope=Scope.STEPS_READ,
        query=messages.LogQuery,
        response=messages.LogChunk,
        deadline_s=limits.WAIT_S_MAX + 10,
    ),
    Operation(
        name="validations.list",
        title="List validations",
        description="Checks of a step, all attempts: each command, its verdict, and the artifacts of its output.",
        method="GET",
        path=_STEP + "/validations",
        scope=Scope.STEPS_READ,
        query=messages.PageQuery,
        response=messages.ValidationPage,
    ),
    Operation(
        name="artifacts.list",
        title="List artifacts",
        description="Evidence of a step, all attempts: patch, output, validation output, signed manifest.",
        method="GET",
        path=_STEP + "/artifacts",
        scope=Scope.ARTIFACTS_READ,
        query=messages.PageQuery,
        response=messages.ArtifactPage,
    ),
    Operation(
        name="artifacts.get",
        title="Read an artifact's record",
        description="Name, size and SHA-256 of one artifact; its bytes are read with artifacts_content.",
        method="GET",
        path=_ARTIFACT,
        scope=Scope.ARTIFACTS_READ,
        response=specs.ArtifactView,
    ),
    Operation(
        name="artifacts.content",
        title="Read an artifact",
        description="The bytes of one artifact, or a range of them; check them against its SHA-256. As a tool: pieces "
        "of at most 256 KiB, as text or base64; go on at next_offset until that is null.",
        method="GET",
        path=_ARTIFACT + "/content",
        scope=Scope.ARTIFACTS_READ,
        query=messages.ContentQuery,
        response=messages.Content,
        streams=True,
    ),
    Operation(
        name="gates.list",
        title="List gates",
        description="Decisions asked for in the repository, newest first; those still to be made have the state open.",
        method="GET",
        path=_GATES,
        scope=Scope.GATES_READ,
        query=messages.GateListQuery,
        response=messages.GatePage,
    ),
    Operation(
        name="gates.get",
        title="Read a gate",
        description="One gate: why work waits, until when, what is asked, and the digest an approval must name.",
        method="GET",
        path=_GATE,
        scope=Scope.GATES_READ,
        response=messages.GateView,
    ),
    _change(
        name="gates.decide",
        title="Decide a gate",
        description="Decides a gate, once and for all: approve (naming the digest that gates_get shows) and answer "
        "let the work go on; reject fails the step and keeps its changes.",
        path=_GATE + "/decide",
        scope=Scope.GATES_DECIDE,
        request=messages.GateDecide,
        response=messages.GateAnswer,
        is_destructive=True,
    ),
    _change(
        name="conversations.begin",
        title="Begin a conversation",
        description="Begins a talk with one executor, at HEAD or at a base; each turn (conversations_say) is a step "
        "that goes on where the last one ended.",
        path=_CONVERSATIONS,
        scope=Scope.STEPS_WRITE,
        request=conversation_messages.ConversationBegin,
        response=conversation_messages.ConversationView,
        success_status=201,
    ),
    Operation(
        name="conversations.list",
        title="List conversations",
        description="Conversations of the repository, newest first.",
        method="GET",
        path=_CONVERSATIONS,
        scope=Scope.STEPS_READ,
        query=messages.PageQuery,
        response=conversation_messages.ConversationPage,
    ),
    Operation(
        name="conversations.get",
        title="Read a conversation",
        description="One conversation, its thread and its turns.",
        method="GET",
        path=_CONVERSATION,
        scope=Scope.STEPS_READ,
        response=conversation_messages.ConversationView,
    ),
    _change(
        name="conversations.say",
        title="Say something",
        description="Queues the next turn. It goes on with the executor's own thread; where that can't be taken up, "
        "with a fresh one that is told what was said before, and the turn says so. Read it with steps_wait.",
        path=_CONVERSATION + "/turns",
        scope=Scope.STEPS_WRITE,
        request=conversation_messages.ConversationSay,
        response=conversation_messages.ConversationView,
        success_status=202,
    ),
    _change(
        name="conversations.undo",
        title="Undo a turn",
        description="Takes the newest turn back: the next one begins with the files as they were before it, and "
        "without the ignored ones that turns had left. Its changes stay on record.",
        path=_CONVERSATION + "/undo",
        scope=Scope.STEPS_WRITE,
        request=messages.Empty,
        response=conversation_messages.ConversationView,
        is_destructive=True,
    ),
    _change(
        name="conversations.close",
        title="Close a conversation",
        description="Says that no further turn comes.",
        path=_CONVERSATION + "/close",
        scope=Scope.STEPS_WRITE,
        request=messages.Empty,
        response=conversation_messages.ConversationView,
    ),
    Operation(
        name="usage.get",
        title="Read usage",
        description="Tokens, cost and time by executor and model, with by = day each day too: of a run, of a step, or "
        "of the last days (1 to 31); and what of its budget is used up.",
        method="GET",
        path="/repositories/{repository_id}/usage",
        scope=Scope.USAGE_READ,
        query=usage_messages.UsageQuery,
        response=usage_messages.UsageView,
    ),
    _change(
        name="garbage.collect",
        title="Collect garbage",
        description="Lets go what the operator's retention lets go: evidence of runs long over, ignored files that "
        "attempts left, worktrees left behind. With dry_run it only says what would go.",
        path="/garbage/collect",
        scope=Scope.CONNECTORS_WRITE,
        request=garbage.GarbageCollect,
        response=garbage.GarbageView,
        audience=Audience.OPERATOR,
        is_destructive=True,
    ),
    Operation(
        name="events.list",
        title="List events",
        description="The repository's event log after a position, oldest first; go on after the last seq that was "
        "answered.",
        method="GET",
        path="/repositories/{repository_id}/events",
        scope=Scope.RUNS_READ,
        query=messages.EventListQuery,
        response=messages.EventPage,
    ),
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType({operation.name: operation for operation in _ALL})
"""Every machine operation by name."""

REMOTE_OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {name: operation for name, operation in OPERATIONS.items() if operation.audience is Audience.PLANNER}
)
"""What may be asked from outside the machine; each names its repository."""
