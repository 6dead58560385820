"""An agent that speaks the Agent Client Protocol as its words on the command line say: a scene for a player.

JSON-RPC by hand, so that the adapter's library is not measured by itself. `PROMPT` in the environment names the file in
which it keeps what it was asked.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

THREAD_ID = "agent-thread-1"


def agent_words(*words: str) -> str:
    """The scene's line that starts it."""
    return f"export PROMPT; exec {shlex.quote(sys.executable)} {shlex.quote(__file__)} {shlex.join(words)}"


class Agent:
    """One talk."""

    def __init__(self, words: argparse.Namespace) -> None:
        self.words = words
        self.asked = 0

    def serve(self) -> None:
        """Answer until the client hangs up."""
        for line in sys.stdin:
            message = json.loads(line)
            if message.get("method") and "id" in message:
                self.answer(message)

    def answer(self, message: dict[str, Any]) -> None:
        """One request."""
        match message["method"]:
            case "initialize":
                capabilities = {"loadSession": self.words.loads}
                result: Any = {"protocolVersion": 1, "agentCapabilities": capabilities, "authMethods": []}
            case "session/new" if self.words.refuse_login:
                error = {"code": -32000, "message": "Authentication required", "data": self.words.refuse_login}
                self.send({"id": message["id"], "error": error})
                return
            case "session/new":
                result = {"sessionId": THREAD_ID}
            case "session/load":
                self.chunk(message["params"]["sessionId"], "What was said before.")
                result = {}
            case "session/prompt":
                result = self.prompt(message["params"])
            case other:
                raise SystemExit(f"unexpected: {other}")
        self.send({"id": message["id"], "result": result})

    def prompt(self, params: dict[str, Any]) -> dict[str, Any]:
        """The work."""
        Path(os.environ["PROMPT"]).write_text(params["prompt"][0]["text"])
        thread_id = params["sessionId"]
        if self.words.permission:
            if not self.may(thread_id):
                return {"stopReason": "cancelled" if self.words.heeds_cancel else "end_turn"}
            Path("permitted.txt").write_text("yes\n")
        self.chunk(thread_id, self.words.say[:5])
        self.chunk(thread_id, self.words.say[5:])
        usage = {"inputTokens": 100, "outputTokens": 20, "cachedReadTokens": 40, "totalTokens": 120}
        return {"stopReason": self.words.stop_reason, "usage": usage}

    def may(self, thread_id: str) -> bool:
        """Ask for permission, and read the answer."""
        call = {"toolCallId": "call-1", "title": self.words.permission, "kind": self.words.kind}
        options = [
            {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
            {"optionId": "no", "name": "Reject", "kind": "reject_once"},
        ]
        params = {"sessionId": thread_id, "toolCall": call, "options": options}
        self.send({"id": "ask-1", "method": "session/request_permission", "params": params})
        for line in sys.stdin:
            message = json.loads(line)
            if message.get("id") == "ask-1":
                outcome = message["result"]["outcome"]
                return bool(outcome["outcome"] == "selected" and outcome["optionId"] == "yes")
        return False

    def chunk(self, thread_id: str, text: str) -> None:
        """A piece of what it says."""
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
        self.send({"method": "session/update", "params": {"sessionId": thread_id, "update": update}})

    def send(self, message: dict[str, Any]) -> None:
        """One line."""
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Serve as the words say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--say", default="The file is there.")
    parser.add_argument("--permission")
    parser.add_argument("--kind", default="execute")
    parser.add_argument("--stop-reason", default="end_turn")
    parser.add_argument("--refuse-login")
    parser.add_argument("--loads", action="store_true")
    parser.add_argument("--heeds-cancel", action="store_true")
    Agent(parser.parse_args()).serve()


if __name__ == "__main__":
    main()
