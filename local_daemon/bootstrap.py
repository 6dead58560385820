"""Puts one daemon together and runs it: lock, record, recovery, scheduler, door; then the way out.

What the first call and the first step need is imported once it is ready, so that it is ready sooner.
SIGTERM drains: nothing more is leased, what is at work ends, then it stops. A second SIGTERM stops now; what was at
work then is accounted for by the next start. Called by `ropeway daemon`.
Tests: tests/integration/daemon/test_bootstrap.py.
"""

import asyncio
import contextlib
import errno
import functools
import gc
import importlib
import json
import logging
import os
import platform
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from local_daemon.artifacts.store import BlobStore
from local_daemon.client import starting
from local_daemon.config import environment_file, log_lines
from local_daemon.config import home as homes
from local_daemon.config import settings as daemon_settings
from local_daemon.executors import port as executor_port
from local_daemon.executors import registry as executor_registry
from local_daemon.executors import search_path
from local_daemon.http_api import json_rpc
from local_daemon.http_api.app import Application
from local_daemon.http_api.connections import Connection
from local_daemon.identity import keys, places
from local_daemon.operations.context import OperationContext
from local_daemon.processes import children, process_table
from local_daemon.protocol import errors, messages, tracing, version
from local_daemon.scheduler import leases, live_logs, loop, workshop
from local_daemon.storage.database import Database
from local_daemon.storage.wake import Wake
from local_daemon.worktrees import folders, inspection, room

if TYPE_CHECKING:
    from local_daemon.scheduler import retention

logger = logging.getLogger(__name__)

_BACKLOG = 512
_CLOSE_CONNECTIONS_S = 2
_LATER = (
    "local_daemon.operations.registry",
    "local_daemon.scheduler.recovery",
    "local_daemon.http_api.log_stream",
    "local_daemon.mcp_server.compatibility",
    "local_daemon.scheduler.retention",
    "local_daemon.http_api.openapi",
)
"""What calls and steps need, the soonest needed first; whoever needs one of them before imports it himself."""

_IMPATIENCE_S = 0.0002
"""So long whoever asks waits for the thread that loads them; usually threads wait five milliseconds for each other."""

_DOUBTS_S = 30
"""A doubt about an executor, a missing login say, may go away by itself: so long it is believed."""


class AddressTaken(Exception):
    """The loopback port can't be had; choose another, or 0 for any free one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The sockets a daemon answers on."""

    sockets: tuple[socket.socket, ...]
    unix_path: Path
    port: int | None

    def listen(self) -> None:
        """From now on connections are taken, and wait until they are served."""
        for listening in self.sockets:
            listening.listen(_BACKLOG)


class _Server(uvicorn.Server):
    """Uvicorn without its own idea of signals: draining is the daemon's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave every signal to the daemon."""
        yield


def daemon_run(home: homes.Home, *, port: int | None = None) -> None:
    """Run the daemon of this home until it is told to stop. Raises HomeInUse, HomeCopied, SettingsInvalid,
    HomeUnsafe, AddressTaken, RecordUnreadable, RecordReadOnly, SchemaTooNew, StorageFull."""
    home.prepare()
    with _full_disk_told(), homes.run_lock(home):
        log_lines.configure(is_human=sys.stderr.isatty())
        try:
            places.place_check(home)
        except places.HomeCopied:
            logger.warning("this home is a copy; nothing is served", extra={"event": "daemon.home_copied"})
            raise
        places.place_record(home)
        _environment_complete(home)
        settings = daemon_settings.settings_read(home.settings)
        if port is not None:
            settings = settings.model_copy(update={"listen": daemon_settings.Listen(port=port)})
        last_spans_send = tracing.install("ropeway-daemon")
        try:
            asyncio.run(_serve(home, settings))
        finally:
            last_spans_send()


def _environment_complete(home: homes.Home) -> None:
    """Add what the operator has kept; what this process was started with stays as it is. Raises SettingsInvalid."""
    for name, value in environment_file.environment_read(home.environment).items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.StorageFull from error
        raise


async def _serve(home: homes.Home, settings: daemon_settings.Settings) -> None:
    children.become_subreaper()
    identity = keys.identity_ensure(home.identity)
    token = keys.token_ensure(home.token)
    shop = _workshop(home, settings, identity, token=token)
    shop.blobs.leftovers_remove()
    scheduler = loop.Scheduler(
        shop,
        limits=leases.ConcurrencyLimits(
            machine=settings.concurrency.machine,
            repository=settings.concurrency.repository,
            executor=settings.concurrency.executors,
        ),
    )
    instance = _Instance(identity, shop.executors, environment=_names_passed(shop))
    await instance.look()
    keeper = functools.cache(functools.partial(_keeper, shop, settings))
    context = OperationContext(
        database=shop.database,
        blobs=shop.blobs,
        scheduler=scheduler,
        live_logs=live_logs.LiveLogs(shop),
        instance_view=lambda: instance.view(scheduler),
        instance_look=lambda: instance.looked(scheduler),
        instance_wake=instance.wake,
        instance_watched=instance.watched,
        inspect_repository=inspection.repository_inspect,
        operator_policy=settings.policy,
        home=home,
        folder_limits=shop.folder_limits,
        collect_garbage=lambda dry_run: keeper().collect(dry_run=dry_run),
    )
    with _doors_open(home, settings) as doors:
        await scheduler.recover()
        application = Application(context, token=token, doors_open=functools.partial(_message_doors, context))
        try:
            await _run_until_stopped(home, settings, doors, application, scheduler, shop, instance, context, keeper)
        finally:
            home.address.unlink(missing_ok=True)
            await shop.database.close()
    logger.info("daemon stopped", extra={"event": "daemon.stopped"})


def _message_doors(context: OperationContext) -> json_rpc.MessageDoors:
    from local_daemon.mcp_server import compatibility
    from local_daemon.mcp_server.server import VERSIONS, McpServer

    server = McpServer(context)
    return json_rpc.MessageDoors(
        message=lambda message, actor, revision: server.answer(message, actor=actor, revision=revision),
        envelope=lambda envelope, actor: compatibility.envelope_answer(context, envelope, actor=actor),
        unread=compatibility.unread,
        versions=VERSIONS,
    )


def _keeper(shop: workshop.Workshop, settings: daemon_settings.Settings) -> "retention.Retention":
    from local_daemon.scheduler import retention

    return retention.Retention(shop=shop, rules=retention.Rules(**settings.retention.model_dump()))


def _workshop(
    home: homes.Home, settings: daemon_settings.Settings, identity: keys.Identity, *, token: str
) -> workshop.Workshop:
    executors = executor_registry.registry_build(os.environ, settings)
    secret_names = {*settings.executors.environment, *executors.keys}
    return workshop.Workshop(
        database=Database.open(home.record),
        blobs=BlobStore(home.artifacts),
        executors=executors,
        worktrees=home.worktrees,
        scratch=home.scratch,
        sign=identity.sign,
        public_key=identity.public_key,
        environment=dict(os.environ),
        passed_names=settings.executors.environment,
        secrets={
            "daemon-token": token,
            **{name: os.environ[name] for name in secret_names if name in os.environ},
        },
        cancel_grace_s=settings.executors.cancel_grace_s,
        folder_limits=folders.FolderLimits(files_max=settings.folders.files_max, bytes_max=settings.folders.bytes_max),
        room=room.Room((home.worktrees, home.spares), bytes_max=settings.worktrees.bytes_max or None),
    )


async def _run_until_stopped(
    home: homes.Home,
    settings: daemon_settings.Settings,
    doors: Doors,
    application: Application,
    scheduler: loop.Scheduler,
    shop: workshop.Workshop,
    instance: "_Instance",
    context: OperationContext,
    keeper: Callable[[], "retention.Retention"],
) -> None:
    server = _server(application)
    working = asyncio.create_task(scheduler.run(), name="scheduler")
    aside = [
        asyncio.create_task(_go_on(shop, context, keeper), name="go on"),
        asyncio.create_task(instance.ask(), name="ask executors"),
    ]
    stopping = _Stopping(server, scheduler, drain_timeout_s=settings.stopping.drain_timeout_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.ask)
    doors.listen()
    serving = asyncio.create_task(server.serve(sockets=list(doors.sockets)), name="door")
    _address_write(home, doors)
    starting.ready_tell()
    logger.info("daemon ready", extra={"event": "daemon.ready", "port": doors.port})
    try:
        # The scheduler ends when it has drained; should it crash instead, so does the daemon, rather than take work
        # that nobody carries out.
        await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        application.streams_end()
        server.should_exit = True
        await serving
        for task in (working, *aside):
            task.cancel()
        await asyncio.gather(working, *aside, return_exceptions=True)
    if working.done() and not working.cancelled() and (crash := working.exception()) is not None:
        raise crash


async def _go_on(
    shop: workshop.Workshop, context: OperationContext, keeper: Callable[[], "retention.Retention"]
) -> None:
    """What is done beside the work by a daemon that is ready; first of all, load the rest of it, while it answers."""
    patience_s = sys.getswitchinterval()
    sys.setswitchinterval(_IMPATIENCE_S)
    try:
        await asyncio.to_thread(_rest_load)
    except Exception:
        # What needs it fails in words of its own; what is done beside the work would not be missed by anybody.
        logger.exception("the rest of the daemon could not be loaded", extra={"event": "daemon.not_loaded"})
        return
    finally:
        sys.setswitchinterval(patience_s)
        # What is loaded stays for good; the garbage collector need not look at it again and again.
        gc.freeze()
        gc.enable()
    from local_daemon.operations import applications
    from local_daemon.scheduler import leftovers

    duties = (leftovers.worktrees_sweep(shop), applications.applications_finish(context), keeper().run())
    for ended in await asyncio.gather(*duties, return_exceptions=True):
        if isinstance(ended, Exception):
            logger.error("a duty beside the work crashed", exc_info=ended, extra={"event": "daemon.duty_crashed"})


def _rest_load() -> None:
    for name in _LATER:
        importlib.import_module(name)


class _Stopping:
    """Asked once, the daemon drains; asked again, or when draining takes too long, it stops."""

    def __init__(self, server: _Server, scheduler: loop.Scheduler, *, drain_timeout_s: float) -> None:
        self._server = server
        self._scheduler = scheduler
        self._drain_timeout_s = drain_timeout_s
        self._draining: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """A signal came."""
        if self._draining is None:
            logger.info("draining", extra={"event": "daemon.draining", "active": self._scheduler.active_count})
            self._draining = asyncio.create_task(self._drain(), name="drain")
        else:
            self._stop()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await self._scheduler.drain()
        except TimeoutError:
            self._stop()

    def _stop(self) -> None:
        logger.info("stopping at once", extra={"event": "daemon.stopping", "active": self._scheduler.active_count})
        self._server.should_exit = True


@contextlib.contextmanager
def _doors_open(home: homes.Home, settings: daemon_settings.Settings) -> Iterator[Doors]:
    """Take the addresses without answering on them yet. Raises AddressTaken."""
    path = home.socket
    path.unlink(missing_ok=True)  # Left by a crash; the lock says that nobody listens on it.
    with contextlib.ExitStack() as stack:
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(path))
        stack.callback(path.unlink, missing_ok=True)
        path.chmod(0o600)
        sockets = [unix]
        port = None
        if settings.listen.port is not None:
            # Named as TCP, or asyncio does not turn Nagle's algorithm off: 40 ms more for every answer.
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind(("127.0.0.1", settings.listen.port))
            except OSError as error:
                raise AddressTaken(f"port {settings.listen.port}: {error.strerror}") from error
            port = tcp.getsockname()[1]
            sockets.append(tcp)
        yield Doors(sockets=tuple(sockets), unix_path=path, port=port)


def _server(application: Application) -> _Server:
    return _Server(
        uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=False,
            timeout_graceful_shutdown=_CLOSE_CONNECTIONS_S,
        )
    )


def _address_write(home: homes.Home, doors: Doors) -> None:
    document = {
        "pid": os.getpid(),
        "process_start": process_table.started_at(os.getpid()),
        "socket": str(doors.unix_path),
        "port": doors.port,
        "version": version.__version__,
        "started_at": datetime.now(UTC).isoformat(),
    }
    homes.private_write(home.address, json.dumps(document))


class _Instance:
    """What the daemon says of itself. Executors come and go while it runs, so it looks at their programs whenever it is
    asked, and while it is followed whenever the kernel tells of a change; those that are new, or others than before,
    are started aside to tell their version, which takes seconds. `wake` tells that others can be used than before."""

    def __init__(
        self, identity: keys.Identity, executors: executor_registry.Registry, *, environment: tuple[str, ...]
    ) -> None:
        self._executors = executors
        self._view = _instance_view(identity, environment)
        self._wanted = asyncio.Event()
        self._doubts_asked_at = 0.0
        self.wake = Wake()

    def view(self, scheduler: loop.Scheduler) -> messages.InstanceView:
        """As it was last seen."""
        now = {"at_work": scheduler.active_count, "is_draining": scheduler.is_draining}
        return self._view.model_copy(update=now)

    async def looked(self, scheduler: loop.Scheduler) -> messages.InstanceView:
        """As it is now."""
        await self.look()
        return self.view(scheduler)

    async def look(self) -> None:
        """See what is there without starting anything, and have asked what that leaves open."""
        found = await self._executors.presences()
        self._see(found)
        is_doubtful = any(each.is_doubtful for each in found.values())
        if any(not each.is_asked for each in found.values()) or (is_doubtful and self._doubts_are_old):
            self._wanted.set()

    async def ask(self) -> None:
        """Ask every executor how it is, each time that is wanted."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                self._see(await self._executors.availabilities())
            except Exception:
                # What was seen last stands, and the next look asks again.
                logger.exception("executors could not be asked", extra={"event": "executors.not_asked"})
            self._doubts_asked_at = asyncio.get_running_loop().time()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Somebody follows until the block ends: programs that come or go are looked at without being asked."""
        heeding = asyncio.create_task(self._heed(), name="heed programs")
        try:
            yield
        finally:
            heeding.cancel()
            await asyncio.gather(heeding, return_exceptions=True)

    async def _heed(self) -> None:
        """Look at the programs each time one may have come or gone."""
        watching = search_path.changes(os.environ.get("PATH"), self._executors.programs)
        async with contextlib.aclosing(watching) as changes:
            async for _ in changes:
                try:
                    await self.look()
                except Exception:
                    # As when asking them: the next change, or whoever asks, looks again.
                    logger.exception("executors could not be looked at", extra={"event": "executors.not_looked_at"})

    @property
    def _doubts_are_old(self) -> bool:
        return asyncio.get_running_loop().time() - self._doubts_asked_at >= _DOUBTS_S

    def _see(self, found: dict[str, executor_port.Availability]) -> None:
        views = tuple(self._executor_view(name, each) for name, each in found.items())
        is_new = _usable(views) != _usable(self._view.executors)
        self._view = self._view.model_copy(update={"executors": views})
        if is_new:
            self.wake.announce(())

    def _executor_view(self, name: str, found: executor_port.Availability) -> messages.ExecutorView:
        budgets = self._executors.budgets(name)
        return messages.ExecutorView(
            name=name,
            is_available=found.is_available,
            reason=found.reason or None,
            version=found.version,
            profiles=self._executors.profile_names(name),
            budgets=None if budgets is None else messages.BudgetsView(tokens=budgets.tokens, cost_usd=budgets.cost_usd),
        )


def _usable(executors: tuple[messages.ExecutorView, ...]) -> set[str]:
    return {executor.name for executor in executors if executor.is_available}


def _names_passed(shop: workshop.Workshop) -> tuple[str, ...]:
    """The names that executors may be given and this daemon has."""
    passed = frozenset(shop.passed_names).union(*(shop.executors.passed_names(name) for name in shop.executors.names))
    return tuple(sorted(name for name in passed if name in shop.environment))


def _instance_view(identity: keys.Identity, environment: tuple[str, ...]) -> messages.InstanceView:
    return messages.InstanceView(
        instance_id=identity.instance_id,
        version=version.__version__,
        protocol_version=version.PROTOCOL_VERSION,
        hostname=platform.node(),
        platform=f"{platform.system()} {platform.machine()}",
        public_key=identity.public_key,
        started_at=datetime.now(UTC),
        environment=environment,
    )
