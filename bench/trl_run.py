"""Train as the earlier teams did: TRL, one row a batch, no packing; bench/gpu.py starts it.

Run as: python bench/trl_run.py FOLDER, which holds rows.jsonl and trl.json
"""

import sys
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer

from bench.meter import Meter, status, wait_for
from core.jsonl import read_json, read_objects


def main(place: Path) -> None:
    """Train for the steps that trl.json asks for; the meter writes trl/meter.json."""
    asked = read_json(place / "trl.json")
    tokenizer = AutoTokenizer.from_pretrained(asked["base"])
    examples = []
    for _, line in read_objects(place / "rows.jsonl"):
        prompt, row = (
            tokenizer.apply_chat_template(
                line["messages"][:end], add_generation_prompt=end == 1, return_dict=False
            )
            for end in (1, 2)
        )
        learnt = [int(position >= len(prompt)) for position in range(len(row))]
        examples.append({"input_ids": row, "completion_mask": learnt})
    four = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    wait_for("load")
    on_gpu = torch.cuda.is_available()
    before = 0 if on_gpu else 1024 * status("VmRSS")
    model = AutoModelForCausalLM.from_pretrained(
        asked["base"],
        dtype="auto",
        attn_implementation=asked["attn_implementation"],
        quantization_config=four if asked.get("load_in_4bit") else None,
        device_map={"": "cuda" if on_gpu else "cpu"},
    )
    lora = LoraConfig(
        r=asked.get("lora_r", 16),
        lora_alpha=asked.get("lora_alpha", 32),
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model,
        SFTConfig(
            output_dir=str(place / "trl"),
            per_device_train_batch_size=1,
            gradient_accumulation_steps=asked["micro_batch_size"]
            * asked["gradient_accumulation_steps"],
            max_steps=asked["steps"],
            max_length=None,
            packing=False,
            bf16=bool(asked.get("bf16")),
            use_cpu=not on_gpu,
            gradient_checkpointing=bool(asked.get("gradient_checkpointing")),
            optim="adamw_torch",
            save_strategy="no",
            report_to="none",
            logging_steps=1,
        ),
        train_dataset=Dataset.from_list(examples),
        processing_class=tokenizer,
        peft_config=lora if asked.get("adapter") else None,
    )
    trainer.add_callback(Meter(trainer, place / "trl", before))
    trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
