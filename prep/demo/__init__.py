"""The demo's corpora and the exercises that its base is pretrained on, made from a grammar."""
