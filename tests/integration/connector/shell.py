"""The connector's command line, as an operator meets it."""

import asyncio
import os
import sys

from connector_agent import config as settings


async def command(home: settings.Home, *arguments: str) -> tuple[int | None, str, str]:
    """One command's exit code, output and complaint."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "connector_agent.cli", "--home", str(home.root), *arguments,
        stdout=pipe, stderr=pipe, env=passed,
    )  # fmt: skip
    out, err = await process.communicate()
    assert b"Traceback" not in err, err
    return process.returncode, out.decode(), err.decode()
