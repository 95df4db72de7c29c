"""Fetching files from a public archive: checksums first, resumed, retried, in a given order.

An archive is files below an address, each with a `.CHECKSUM` (SHA-256) beside it. What was fetched
is kept under the same paths in a folder; a file there that agrees with its checksum is not fetched
again. Nothing that the server says becomes the name of a file.
"""
