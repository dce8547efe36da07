"""Trains the tiny stage 1 by each LoRA method for two steps, in one process.

Run as: python -c "$(cat tests/support/train_lora_methods.py)", from a workplace
"""

from axolotl.cli.train import do_cli

METHODS = {
    "lora": {},
    "rslora": {"peft_use_rslora": True, "lora_r": 4, "lora_alpha": 8},
    "dora": {"peft_use_dora": True},
    "loraplus": {"loraplus_lr_ratio": 16, "weight_decay": 0.1},
}

for name, keys in METHODS.items():
    do_cli(
        "recipes/tiny/stage1.yml",
        adapter="lora",
        load_in_4bit=False,
        optimizer="adamw_torch",
        lr_scheduler="constant",
        warmup_steps=0,
        micro_batch_size=4,
        max_steps=2,
        save_steps=2,
        dataset_num_proc=1,
        output_dir=f"./outputs/methods/{name}",
        **keys,
    )
