"""The executors that the conformance suite is about, and what each is known to say on its recorded streams."""

from dataclasses import dataclass, field

from local_daemon.executors import port
from local_daemon.protocol.states import FailureCause
from tests.integration.daemon.executors.acp_agent import THREAD_ID, agent_words
from tests.integration.daemon.executors.player import transcript
from tests.integration.daemon.executors.scripted_broker import CASCADE_ID

MESSAGE = "The file is there."


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One executor that is played."""

    name: str
    thread_id: str | None = None
    usage: port.Usage = field(default_factory=port.Usage)
    resumed_usage: port.Usage = field(default_factory=port.Usage)
    failure_exit: int = 1
    failure_cause: FailureCause = FailureCause.AUTH
    has_stream: bool = True
    talks: bool = False  # a protocol of questions and answers, instead of a prompt and a stream
    is_remote: bool = False  # its work is done by another program, which plays the scene

    @property
    def success_words(self) -> str:
        """The scene's line that says that all went well."""
        if self.talks:
            return agent_words("--say", MESSAGE)
        return f"cat '{transcript(f'{self.name}-success')}'" if self.has_stream else f"echo '{MESSAGE}'"

    @property
    def failure_words(self) -> str:
        """The scene's lines that say that it failed."""
        if self.talks:
            return agent_words("--refuse-login", "Unauthorized")
        if not self.has_stream:
            return f"echo 'Unauthorized' >&2\nexit {self.failure_exit}"
        return f"cat '{transcript(f'{self.name}-auth')}'\nexit {self.failure_exit}"

    def __str__(self) -> str:
        return self.name


def _usage(model: str | None, times: int, cost: float | None = None) -> port.Usage:
    return port.Usage(
        model=model,
        input_tokens=100 * times,
        cached_input_tokens=40 * times,
        output_tokens=20 * times,
        cost_usd=cost,
    )


SUBJECTS = (
    Subject(
        name="codex",
        thread_id="01a1fd97-5a57-7e20-b621-958a93b772ec",
        usage=_usage(None, 2),
        resumed_usage=_usage(None, 1),
    ),
    Subject(
        name="claude",
        thread_id="47fc8e77-afdb-4984-8596-267cece60133",
        usage=_usage("claude-sonnet-4-5", 2, 0.000984),
        resumed_usage=_usage("claude-sonnet-4-5", 1, 0.000492),
    ),
    Subject(
        name="gemini",
        thread_id="56c5707f-6c42-41f2-8e94-fcdc0427b31b",
        usage=_usage("gemini-2.5-flash", 2),
        resumed_usage=_usage("gemini-2.5-flash", 1),
        failure_exit=145,
    ),
    Subject(
        name="opencode",
        thread_id="ses_e0267de24ffeOVh3fq2K8MX8RV",
        usage=_usage(None, 2, 0.0002),
        resumed_usage=_usage(None, 1, 0.0001),
    ),
    Subject(
        name="qwen",
        thread_id="1ac74152-f5c5-416a-a4ec-f5c2cf8fbe12",
        usage=_usage("scripted-model", 2),
        resumed_usage=_usage("scripted-model", 1),
    ),
    Subject(name="own-tool", has_stream=False, failure_cause=FailureCause.CRASHED),
    Subject(name="own-agent", has_stream=False, talks=True, thread_id=THREAD_ID, usage=_usage(None, 1)),
    Subject(name="antigravity", has_stream=False, is_remote=True, thread_id=CASCADE_ID),
)
STARTED_HERE = tuple(subject for subject in SUBJECTS if not subject.is_remote)
LISTENING = tuple(subject for subject in STARTED_HERE if not subject.talks)
STREAMING = tuple(subject for subject in SUBJECTS if subject.has_stream)
