"""The first bot: takes the names of releases as people write them, and cleans them up for the others."""


def read(payload):
    """`{"releases": [...]}` to the list of names: trimmed, each once, in the order in which they came."""
    names = [name.strip() for name in payload["releases"]]
    print(f"{len(names)} releases")
    return list(dict.fromkeys(name for name in names if name))
