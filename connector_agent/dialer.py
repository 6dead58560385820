"""Keeps the connector linked: dials, serves, backs off, dials again, until it is told to stop.

SIGHUP reads the settings again, SIGTERM drains, a second SIGTERM stops. Holds no state that a crash could lose. Called
by `ropeway-connector run`. Tests: tests/integration/connector/test_dialer.py.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import random
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from connector_agent import comparison, identity
from connector_agent import config as settings
from connector_agent.backoff import backoff_delay, longest_wait
from connector_agent.daemon_client import DaemonClient
from connector_agent.serving import ServedLink
from connector_agent.transport import LinkLost, RelayUnreachable, link_open
from local_daemon.protocol import errors

logger = logging.getLogger(__name__)

_REFUSED = frozenset(
    {
        errors.Unauthenticated.code,
        errors.Forbidden.code,
        errors.ProtocolMismatch.code,
        # Another link of this connector is the live one: a copied home. Two that dial at once would only push each
        # other out, again and again.
        errors.PreconditionFailed.code,
    }
)
"""What does not pass by itself within seconds. It is dialled on all the same: a disabled connector may be enabled."""


class Dialer:
    """One connector's life."""

    def __init__(self, home: settings.Home) -> None:
        """Raises NotEnrolled, ConfigInvalid."""
        self._home = home
        self._enrollment = settings.enrollment_read(home)
        self._identity = identity.identity_read(home)
        self._config = settings.config_read(home)
        self._daemon = DaemonClient(settings.daemon_home_find(self._config))
        self._served: ServedLink | None = None
        self._opened_at: float | None = None
        self._stopping = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._said = ("", "", "")
        self._put_back: tuple[comparison.PutBack, ...] = ()

    async def run(self) -> None:
        """Dial until stopped. Raises AlreadyRunning."""
        with self._home_locked():
            await self._dial_until_stopped()

    @contextlib.contextmanager
    def _home_locked(self) -> Iterator[None]:
        with open(self._home.lock, "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise settings.AlreadyRunning from error
            yield

    async def _dial_until_stopped(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        away_since = loop.time()
        try:
            while not self._stopping.is_set():
                self._opened_at = None
                code = await self._serve_until_stopped()
                now = loop.time()
                open_s = self._open_s(now)
                away_since = away_since if open_s is None else now
                await self._wait(longest_wait(away_s=now - away_since, open_s=open_s, is_refused=code in _REFUSED))
        finally:
            if self._draining is not None:
                await self._draining
            await self._daemon.close()
            self._say("stopped")

    def _open_s(self, now: float) -> float | None:
        """How long the last link was open by now; None if it never was."""
        return None if self._opened_at is None else now - self._opened_at

    async def _serve_until_stopped(self) -> str | None:
        """Serve one link to its end, or until stopped, also while it is dialled."""
        serving = asyncio.create_task(self._serve_once(), name="serve")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        try:
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            return serving.result() if serving.done() else None
        finally:
            for task in (serving, stopping):
                task.cancel()
            await asyncio.gather(serving, stopping, return_exceptions=True)

    async def _serve_once(self) -> str | None:
        """Dial and serve one link to its end; answers the code the relay ended it with, if it gave one."""
        self._say("connecting")
        try:
            async with link_open(self._enrollment, self._identity, ca_file=self._config.ca_file) as socket:
                self._opened_at = asyncio.get_running_loop().time()
                self._put_back = ()  # Each link compares anew.
                self._served = ServedLink(socket, self._daemon, lambda: self._config, put_back=self._put_back_note)
                logger.info("connected", extra={"event": "link.opened", "epoch": socket.epoch})
                self._say("connected")
                await self._served.run()
        except (RelayUnreachable, LinkLost) as error:
            logger.warning("not connected: %s", error, extra={"event": "link.lost"})
            self._say("disconnected", detail=str(error))
            return getattr(error, "code", None)
        finally:
            self._served = None
        return None

    async def _wait(self, longest_s: float) -> None:
        delay = backoff_delay(longest_s, jitter=random.random()).total_seconds()  # noqa: S311 - it spreads, it hides nothing
        try:
            async with asyncio.timeout(delay):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _reload(self) -> None:
        try:
            self._config = settings.config_read(self._home)
        except settings.ConfigInvalid as error:
            logger.error("settings not read: %s", error, extra={"event": "config.invalid"})  # noqa: TRY400
            return
        logger.info("settings read again", extra={"event": "config.read", "shares": len(self._config.share)})
        if self._served is not None:
            self._served.shares_changed()

    def _stop(self) -> None:
        if self._draining is None and self._served is not None:
            self._draining = asyncio.create_task(self._drain(self._served), name="drain")
        else:
            self._stopping.set()

    async def _drain(self, served: ServedLink) -> None:
        drained = asyncio.create_task(served.drain())
        # A second SIGTERM sets the event first: then nothing is waited for.
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((drained, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (drained, stopped):
            task.cancel()
        await asyncio.gather(drained, stopped, return_exceptions=True)
        self._stopping.set()

    def _put_back_note(self, found: Sequence[comparison.PutBack]) -> None:
        self._put_back = tuple(found)
        self._write()

    def _say(self, state: str, *, detail: str = "") -> None:
        self._said = (state, detail, datetime.now(UTC).isoformat(timespec="seconds"))
        self._write()

    def _write(self) -> None:
        state, detail, since = self._said
        document = {
            "pid": os.getpid(),
            "state": state,
            "detail": detail,
            "cloud_url": self._enrollment.cloud_url,
            "connector_id": self._enrollment.connector_id,
            "since": since,
            "findings": [found.document() for found in self._put_back],
        }
        try:
            settings.private_write(self._home.status, json.dumps(document))
        except OSError as error:
            # A full disk must not end a link: the status is for people to read.
            logger.warning("status not written: %s", error.strerror, extra={"event": "status.unwritten"})
