"""Signatures on Ray Data: the same bytes as on one machine, from as many as a cluster has."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from prep.errors import UserError

if TYPE_CHECKING:
    from prep.dedup.methods import Method, Ray, Signatures

ROWS = 10_000  # texts of one task
PACKAGE = Path(__file__).resolve().parent.parent  # prep, which the workers import
# Read when Ray is imported: no statistics sent, and the loopback interface instead of the host's
LOCAL = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextmanager
def running(ray: "Ray", *packages: Path) -> Iterator[None]:
    """Ray as long as it is needed: one that runs already, the cluster named, or one started here.

    What is started here listens on the loopback interface alone and ends afterwards. To a cluster
    this package and `packages` are sent.
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
            runtime_env={"py_modules": [str(package) for package in (PACKAGE, *packages)]},
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    else:
        engine.init(
            address="local",  # not that of a cluster that happens to run here
            num_cpus=ray.workers,
            runtime_env={"env_vars": {"PYTHONPATH": str(PACKAGE.parent)}},
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _node_ip_address="127.0.0.1",
        )
    try:
        yield
    finally:
        engine.shutdown()


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


def sign(texts: Sequence[str], method: "Method", ray: "Ray") -> "Signatures":
    """The signatures of texts, signed by the workers and put in order on the driver.

    Texts travel as UTF-8 with lone surrogates passed, which Arrow's strings would refuse; to a
    cluster's workers this package travels too.
    """
    from prep.dedup.methods import Signatures

    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    parts = [(k, raw[k : k + ROWS]) for k in range(0, len(raw), ROWS)]
    tables = [
        pa.table({"place": np.arange(k, k + len(part)), "text": pa.array(part, pa.binary())})
        for k, part in parts
    ]

    def signed(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        done = method.sign_part([raw.decode("utf-8", "surrogatepass") for raw in batch["text"]])
        return {"place": batch["place"], "value": done.values, "grams": done.grams}

    with running(ray):
        import ray as engine

        engine.data.DataContext.get_current().enable_progress_bars = False
        whole = engine.data.from_arrow(tables).map_batches(signed, batch_size=None)
        done = list(whole.iter_batches(batch_size=None))
    order = np.argsort(np.concatenate([part["place"] for part in done]))
    return Signatures(
        np.concatenate([part["value"] for part in done])[order],
        np.concatenate([part["grams"] for part in done])[order],
    )
