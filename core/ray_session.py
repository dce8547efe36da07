"""Ray as long as it is needed: one that runs already, a cluster's, or one started here."""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from core.errors import UserError
from core.records import Strict


class Ray(Strict):
    """Where texts are signed on Ray: a cluster's address, or this machine with some workers.

    Fewer than `smallest` texts are signed here, since Ray costs seconds to start.
    """

    address: str | None = None
    workers: int | None = Field(default=None, ge=1)
    smallest: int = Field(default=200_000, ge=0)


Given, Made = TypeVar("Given"), TypeVar("Made")
CORE = Path(__file__).resolve().parent
# Read when Ray is imported: no statistics sent, and the loopback interface instead of the host's
LOCAL = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextmanager
def session(ray: Ray, *packages: Path) -> Iterator[None]:
    """Ray as long as it is needed: one that runs already, the cluster named, or one started here.

    What is started here listens on the loopback interface alone and ends afterwards. To a cluster
    `core` and `packages` are sent.
    """
    if not ray.address:
        os.environ.update(LOCAL)
    import ray as engine

    if engine.is_initialized():
        yield
        return
    if ray.address:
        require_answer(ray.address)
    from ray import data

    logging.getLogger(data.__name__).setLevel(logging.ERROR)  # after the import, which sets it too
    if ray.address:
        engine.init(
            address=ray.address,
            runtime_env={"py_modules": [str(package) for package in (CORE, *packages)]},
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    else:
        engine.init(
            address="local",  # not that of a cluster that happens to run here
            num_cpus=ray.workers,
            runtime_env={"env_vars": {"PYTHONPATH": str(CORE.parent)}},
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _node_ip_address="127.0.0.1",
        )
    try:
        yield
    finally:
        engine.shutdown()


def in_order(
    work: Callable[[Given], Made], parts: Iterable[Given], ray: Ray, *packages: Path
) -> Iterator[Made]:
    """What `work` makes of each part, in the parts' order, on Ray.

    A task asks for as many cores as the smallest machine has: `work` uses all of them by itself,
    and a machine holds what it loads once.
    """
    with session(ray, *packages):
        import ray as engine

        cores = [n["Resources"].get("CPU", 0) for n in engine.nodes() if n["Alive"]]
        able = [count for count in cores if count]
        task = engine.remote(num_cpus=min(able))(work)
        waiting: deque[object] = deque()
        for part in parts:
            waiting.append(task.remote(part))
            if len(waiting) > 2 * len(able):
                yield engine.get(waiting.popleft())
        while waiting:
            yield engine.get(waiting.popleft())


def require_answer(address: str) -> None:
    """Raise `UserError` where no one listens at host:port; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].partition(":")
    if not port.isdigit():
        return  # "auto" and the like, which Ray looks up
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"{address}: no Ray cluster answers there ({error.strerror or error}); check the "
            "address, or leave out --ray-address"
        ) from None
