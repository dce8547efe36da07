"""Sources: corpora and external sets become Questions and Chats, one small reader each.

`source.read` reads a part of a mix: `files` finds its records, whatever the file's form, its
`registry` entry names the reader, and `reader.collect` gathers what that makes of every record.
"""
