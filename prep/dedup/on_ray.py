"""Signatures on Ray Data: the same bytes as on one machine, from as many as a cluster has."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from prep.dedup.methods import Method, Ray, Signatures

ROWS = 10_000  # texts of one task


def sign(texts: Sequence[str], method: "Method", ray: "Ray") -> "Signatures":
    """The signatures of texts, signed by the workers and put in order on the driver.

    Without an address Ray is started on this machine, on the loopback interface alone, and stopped
    afterwards. Texts travel as UTF-8 with lone surrogates passed, which Arrow's strings refuse.
    """
    import ray as engine

    from prep.dedup.methods import Signatures

    started = not engine.is_initialized()
    if started:
        local: dict[str, Any] = {"num_cpus": ray.workers, "_node_ip_address": "127.0.0.1"}
        engine.init(
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            **({"address": ray.address} if ray.address else local),
        )
    try:
        engine.data.DataContext.get_current().enable_progress_bars = False
        rows = {
            "place": np.arange(len(texts)),
            "text": np.array([text.encode("utf-8", "surrogatepass") for text in texts], object),
        }
        parts = [
            {name: column[k : k + ROWS] for name, column in rows.items()}
            for k in range(0, len(texts), ROWS)
        ]

        def signed(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            done = method.sign_part([raw.decode("utf-8", "surrogatepass") for raw in batch["text"]])
            return {"place": batch["place"], "value": done.values, "grams": done.grams}

        whole = engine.data.from_numpy(parts)
        done = list(whole.map_batches(signed, batch_size=None).iter_batches(batch_size=None))
    finally:
        if started:
            engine.shutdown()
    place = np.argsort(np.concatenate([part["place"] for part in done]))
    return Signatures(
        np.concatenate([part["value"] for part in done])[place],
        np.concatenate([part["grams"] for part in done])[place],
    )
