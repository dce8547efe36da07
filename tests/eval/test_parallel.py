"""More than one process: tensor parallelism of vLLM, replicas on Ray, a cluster of two nodes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.errors import UserError
from core.ray_session import LOCAL
from eval import predictions, runner, score
from eval.engines import loader
from eval.engines.interface import Engine, Setup
from eval.executor import LocalExecutor, RayExecutor, Task, require_room
from tests.support.paths import ROOT
from tests.support.scored_rows import save_rows
from tests.support.scoring_engines import TOLERANCE, needs_vllm
from tests.support.tiny_models import save_adapter, save_gemma2, save_llama

WAIT = 120  # seconds until a replica that never opens is given up


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


def scored(data: Path, out: Path, *more: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """eval/score.py run as a user runs it."""
    script = str(ROOT / "eval" / "score.py")
    command = [sys.executable, script, "--data", str(data), "--out", str(out), *more]
    little = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB: other tests need memory too
    return subprocess.run(command, cwd=cwd, env=little, capture_output=True, text=True)


@needs_vllm
def test_two_parts_of_a_model_score_as_one(gemma: Path, tmp_path: Path) -> None:
    """Soft-caps, a sliding window, tied weights; grouped heads, a head of its own; an adapter."""
    data, llama = tmp_path / "d.jsonl", save_llama(tmp_path / "llama", num_key_value_heads=2)
    save_rows(data, 40)
    adapter = save_adapter(tmp_path / "adapter", gemma)
    runs = [
        (["--model", f"gemma={gemma}", f"llama={llama}"], ["gemma", "llama"]),
        (["--model", str(gemma), "--adapter", f"adapter={adapter}"], ["adapter"]),
    ]
    for command, names in runs:
        for parts in "12":
            more = ["--backend", "vllm", "--tensor-parallel", parts]
            done = scored(data, tmp_path / parts, *command, *more)
            assert done.returncode == 0, done.stderr[-3000:]
        for name in names:
            expected, meta = predictions.read(tmp_path / "1" / f"{name}.jsonl")
            found, about = predictions.read(tmp_path / "2" / f"{name}.jsonl")
            assert len({one.choice for one in expected.values()}) == 3  # no empty comparison
            assert about.backend["tensor_parallel_size"] == 2
            assert about.backend["attention"] == meta.backend["attention"] != "unknown"
            assert about.backend["dtype"] == "float32"
            for id_, one in expected.items():
                assert found[id_].choice == one.choice
                assert found[id_].logprobs == pytest.approx(one.logprobs, rel=0, abs=TOLERANCE)


@needs_vllm
def test_heads_that_do_not_divide_are_named_in_a_sentence(gemma: Path, tmp_path: Path) -> None:
    save_rows(tmp_path / "d.jsonl", 2)
    more = ["--model", str(gemma), "--backend", "vllm", "--tensor-parallel", "3"]
    done = scored(tmp_path / "d.jsonl", tmp_path / "a.jsonl", *more)
    assert done.returncode == 2
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith(f"error: vLLM does not open {gemma} with --tensor-parallel 3 (")
    assert "attention heads (4) must be divisible by tensor parallel size (3)" in said
    assert said.endswith("use fewer, or --replicas")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], LocalExecutor()),
        (["--replicas", "2"], RayExecutor(2)),
        (["--ray-address", "10.0.0.1:6379"], RayExecutor(1, "10.0.0.1:6379")),
    ],
)
def test_the_command_chooses_who_executes(
    asked: list[str], expected: Any, gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rows(tmp_path / "d.jsonl", 2)
    seen = []

    def run(setup: Setup, ask: Any, partials: Any, executor: Any) -> Iterator[str]:
        seen.append(executor)
        raise KeyboardInterrupt  # nothing is to be scored
        yield

    monkeypatch.setattr(runner, "run", run)
    files = ["--data", str(tmp_path / "d.jsonl"), "--out", str(tmp_path / "a.jsonl")]
    with pytest.raises(KeyboardInterrupt):
        score.main(["--model", str(gemma), *files, "--backend", "hf", *asked])
    assert seen == [expected]


def test_replicas_without_ray_are_refused_before_anything_is_scored(
    gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rows(tmp_path / "d.jsonl", 2)
    monkeypatch.setattr(score, "find_spec", lambda name: None)
    files = ["--data", str(tmp_path / "d.jsonl"), "--out", str(tmp_path / "a.jsonl")]
    with pytest.raises(UserError, match="replicas need Ray, which this environment has not"):
        score.main(["--model", str(gemma), *files, "--backend", "hf", "--replicas", "2"])
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_tensor_parallelism_is_refused_by_transformers(gemma: Path) -> None:
    setup = Setup("hf", gemma, "float32", 4, 100, tensor_parallel=2)
    with pytest.raises(UserError, match="--tensor-parallel is vLLM's, and transformers scores"):
        loader.open_engine(setup)


def test_two_replicas_write_the_bytes_of_one(
    gemma: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By either name of the option, with paths that hold in this folder alone."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # a cluster of another day, not asked for
    monkeypatch.setattr(runner, "BLOCK", 8)
    monkeypatch.chdir(tmp_path)
    rows = save_rows(Path("d.jsonl"), 40)
    Path("model").symlink_to(gemma)
    named = [f"{name}={save_adapter(Path(name), gemma, seed=ord(name)).name}" for name in "ab"]
    command = ["--model", "model", "--adapter", *named, "--data", "d.jsonl", "--backend", "hf"]
    score.main([*command, "--out", "one"])
    capfd.readouterr()
    score.main([*command, "--out", "two", "--data-parallel", "2"])
    assert "Dataset" not in capfd.readouterr().err  # Ray Data prints nothing of its own
    for name in "ab":
        one, two = (Path(folder) / f"{name}.jsonl" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        found, meta = predictions.read(two)
        assert list(found) == [row.id for row in rows]
        assert meta.replicas == 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two nodes of one processor each, on the loopback interface alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LOCAL.items():  # before Ray is imported
            patch.setenv(name, value)
        pytest.importorskip("ray")
        from ray.cluster_utils import Cluster

        node = {
            "num_cpus": 1,
            "num_gpus": 0,
            "node_ip_address": "127.0.0.1",
            "object_store_memory": 100 << 20,
        }
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            made.add_node(**node)
            yield made
        finally:
            made.shutdown()


def test_a_cluster_writes_the_bytes_of_one_engine(
    cluster: Any, gemma: Path, tmp_path: Path
) -> None:
    data = tmp_path / "d.jsonl"
    save_rows(data, 300)
    for name, more in (("one", []), ("two", ["--replicas", "2", "--ray-address", cluster.address])):
        command = ["--model", str(gemma), "--backend", "hf", *more]
        done = scored(data, tmp_path / f"{name}.jsonl", *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


def test_replicas_are_on_both_nodes(cluster: Any, gemma: Path, tmp_path: Path) -> None:
    """Each answers with its node's name; none finishes before the other has begun."""

    class Where:
        prompts = ((2, 3), (2, 4))

        def __call__(self, engine: Engine, places: Sequence[int]) -> list[str]:
            import time

            import ray

            node = ray.get_runtime_context().get_node_id()
            (tmp_path / node).touch()
            until = time.monotonic() + WAIT
            while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
                time.sleep(0.1)
            return [node]

    tasks = [Task(None, number, (number,)) for number in range(2)]
    setup = Setup("hf", gemma, "float32", 4, 8)
    found = dict(RayExecutor(2, cluster.address).execute(setup, Where(), tasks))
    assert len({tuple(answer.values) for answer in found.values()}) == 2


@pytest.mark.parametrize(
    ("replicas", "lost", "said"),
    [
        (3, False, r"Ray has room for 2 replicas of 1 CPU, each on one machine, and not for 3"),
        (2, True, r"gone: a machine of the Ray cluster has no such folder; put the model where"),
    ],
)
def test_what_a_cluster_cannot_do_is_a_sentence(
    replicas: int, lost: bool, said: str, cluster: Any, gemma: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gone" if lost else gemma
    setup = Setup("hf", folder, "float32", 4, 8)
    tasks = [Task(None, number, ()) for number in range(3)]
    with pytest.raises(UserError, match=said):
        list(RayExecutor(replicas, cluster.address).execute(setup, None, tasks))


def test_a_replica_must_fit_on_one_machine() -> None:
    def node(alive: bool = True, **resources: float) -> dict[str, Any]:
        return {"Alive": alive, "Resources": resources}

    nodes = [node(CPU=8, GPU=4), node(CPU=8, GPU=3), node(False, CPU=8, GPU=4), node(CPU=2)]
    assert require_room(nodes, 3, 2) == {"num_cpus": 1, "num_gpus": 2}
    assert require_room(nodes, 7, 1) == {"num_cpus": 1, "num_gpus": 1}
    assert require_room([node(CPU=2), node(CPU=1)], 3, 2) == {"num_cpus": 1, "num_gpus": 0}
    with pytest.raises(UserError, match=r"room for 3 replicas of 2 GPU, .* and not for 4"):
        require_room(nodes, 4, 2)
