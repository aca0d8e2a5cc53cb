"""The nouns that stages hand to each other: plain values that validate themselves, save, load, digest and compare."""
