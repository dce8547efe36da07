"""Log-probabilities of rows' letters by llama.cpp, in its own process: GGUF ROWS.jsonl."""

import json
import sys
from pathlib import Path

import xllamacpp


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], 2048, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # the scorer computes in float32 all along; 16 bits of keys and values move answers by 0.1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    found = {}
    for line in Path(sys.argv[2]).read_text("utf-8").splitlines():
        row = json.loads(line)
        answer = server.handle_chat_completions(
            {
                "messages": row["messages"],
                "max_tokens": 1,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": int(sys.argv[3]),
            }
        )
        [first] = answer["choices"][0]["logprobs"]["content"]
        # the likeliest first; a byte's word has the same text as the letter's own
        said = {one["token"]: one["logprob"] for one in reversed(first["top_logprobs"])}
        found[row["id"]] = {label: said[label] for label in row["labels"]}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
