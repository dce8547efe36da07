"""What computes log-probabilities and replies: vLLM, transformers, and which of them."""
