"""What Axolotl trains on by the tiny recipes: one JSON file a recipe and template.

Run as: python -c "$(cat tests/support/trained_rows.py)" OUT, from a workplace
"""

import json
import sys
from pathlib import Path

import torch
from axolotl.cli.config import load_cfg
from axolotl.integrations.base import PluginManager
from axolotl.loaders import load_tokenizer
from axolotl.train import setup_model_and_trainer
from transformers import AutoModelForCausalLM

ENDS = {"alpaca": "<eos>", "gemma": "<end_of_turn>"}


@torch.inference_mode()
def isolation(cfg, meta) -> dict[str, float]:
    """Largest change of a row's logits inside a pack: as trained, and with hidden borders."""
    trainer = setup_model_and_trainer(cfg, meta)[0]
    inputs = next(iter(trainer.get_train_dataloader()))
    _, outputs = trainer.compute_loss(trainer.model.eval(), dict(inputs), return_outputs=True)
    alone = AutoModelForCausalLM.from_pretrained(cfg.base_model, attn_implementation="eager").eval()
    rows, packed, leaking = 0, 0.0, 0.0
    for pack, (ids, places, labels) in enumerate(
        zip(inputs["input_ids"], inputs["position_ids"], inputs["labels"], strict=True)
    ):
        used = int((labels != -100).nonzero().max()) + 1  # the rest is padding
        starts = [place for place in (places == 0).nonzero()[:, 0].tolist() if place < used]
        ends = [*starts[1:], used]
        apart = [alone(ids[None, a:b]).logits[0] for a, b in zip(starts, ends, strict=True)]
        truth = torch.cat(apart)
        rows += len(starts)
        packed = max(packed, (outputs["logits"][pack, :used] - truth).abs().max().item())
        leaking = max(leaking, (alone(ids[None, :used]).logits[0] - truth).abs().max().item())
    return {"rows": rows, "packed": packed, "leaking": leaking}


def main() -> None:
    out = Path(sys.argv[1])
    for stage in ("stage1", "stage2"):
        for template, end in ENDS.items():
            cfg = load_cfg(
                f"recipes/tiny/{stage}.yml",
                chat_template=template,
                eot_tokens=[end],
                dataset_num_proc=1,
                output_dir=str(out / f"run-{stage}-{template}"),
            )
            meta = PluginManager.get_instance().load_datasets(cfg)
            load_tokenizer(cfg).save_pretrained(out / f"{stage}-{template}")
            found = {
                "ids": [list(ids) for ids in meta.train_dataset["input_ids"]],
                "labels": [list(labels) for labels in meta.train_dataset["labels"]],
            }
            if cfg.sample_packing:
                found["isolation"] = isolation(cfg, meta)
            (out / f"{stage}-{template}.json").write_text(json.dumps(found))


main()
