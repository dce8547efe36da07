"""One evaluation by two processes: prints its metrics as JSON.

Run as: PYTHONPATH=. torchrun --nproc_per_node 2 tests/support/two_processes.py FOLDER

FOLDER holds a model and rows.jsonl.
"""

import json
import sys
from pathlib import Path

from axolotl.utils.collators import DataCollatorForSeq2Seq
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from core.jsonl import read_objects
from recipes.plugins.answer_accuracy import LetterReader, metrics, questions
from recipes.plugins.tokenization import tokenised

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    found = [tokenised(row, tokenizer, "row") for _, row in read_objects(folder / "rows.jsonl")]
    columns = {
        "input_ids": [ids for ids, _ in found],
        "attention_mask": [[1] * len(ids) for ids, _ in found],
        "labels": [[-100] * start + ids[start:] for ids, start in found],
    }
    asked, letters = questions(columns["input_ids"], [folder / "rows.jsonl"], tokenizer)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder / "out"),
            per_device_eval_batch_size=2,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
        ),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
        eval_dataset=Dataset.from_dict(columns),
        preprocess_logits_for_metrics=LetterReader(model.get_output_embeddings(), letters).read,
        compute_metrics=lambda seen: metrics(seen, asked, letters),
    )
    made = trainer.evaluate()
    if trainer.is_world_process_zero():
        known = {key: value for key, value in made.items() if "acc" in key or "mass" in key}
        print(json.dumps({"processes": trainer.args.world_size, **known}))
