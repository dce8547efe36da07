"""Readers: corpora and external sets become Questions and Chats."""
