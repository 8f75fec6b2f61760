"""The bots of the example: a document becomes its pages, a page becomes the name of its thumbnail."""


def pages(payload):
    """`{"document": "report", "pages": 3}` to the names of the pages."""
    return [f"{payload['document']}-{number}" for number in range(1, payload["pages"] + 1)]


def thumbnails(payload):
    """The names of pages to the names of their thumbnails."""
    return [f"{name}-thumbnail.png" for name in payload]
