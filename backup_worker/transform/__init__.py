"""Flat transforms over a byte stream: compression, encryption, signing, hashing."""
