"""A small price list of AWS, in the form of the real one, behind a web server on loopback."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COLUMNS = [
    *("SKU", "OfferTermCode", "RateCode", "TermType", "PriceDescription", "EffectiveDate", "StartingRange"),
    *("EndingRange", "Unit", "PricePerUnit", "Currency", "LeaseContractLength", "PurchaseOption", "OfferingClass"),
    *("Product Family", "serviceCode", "Location", "Location Type", "Instance Type", "Instance Family", "vCPU"),
    *("Memory", "Volume Type", "Tenancy", "Operating System", "License Model", "Group", "usageType", "operation"),
    *("CapacityStatus", "Pre Installed S/W", "Volume API Name", "Region Code"),
]

Row = Mapping[str, str]


def instance(type_: str, price: str, **more: str) -> Row:
    """A row of EC2's offer for an instance that its customer uses, on demand and shared."""
    return {
        "TermType": "OnDemand",
        "StartingRange": "0",
        "EndingRange": "Inf",
        "Unit": "Hrs",
        "PricePerUnit": price,
        "Currency": "USD",
        "Product Family": "Compute Instance",
        "Location Type": "AWS Region",
        "Instance Type": type_,
        "Tenancy": "Shared",
        "Operating System": "Linux",
        "operation": "RunInstances",
        "CapacityStatus": "Used",
        "Pre Installed S/W": "NA",
        "usageType": f"BoxUsage:{type_}",
        **more,
    }


def windows(type_: str, price: str, **more: str) -> Row:
    """The same with Windows and its licence."""
    return instance(type_, price, **{"Operating System": "Windows", "operation": "RunInstances:0002", **more})


def usage(usage_type: str, price: str, **more: str) -> Row:
    """A row of any offer for a use that is no instance."""
    return {
        "TermType": "OnDemand",
        "StartingRange": "0",
        "EndingRange": "Inf",
        "PricePerUnit": price,
        "Currency": "USD",
        "Product Family": "Storage",
        "Location Type": "AWS Region",
        "usageType": usage_type,
        **more,
    }


def offer(rows: Iterable[Row], published: str = "2026-11-03T10:00:00Z") -> Iterator[str]:
    """An offer file in CSV, line by line: its own lines, its columns, its rows."""
    yield from ('"FormatVersion","v1.0"\n', '"Disclaimer","This pricing list is for informational purposes only."\n')
    yield from (f'"Publication Date","{published}"\n', '"Version","20261103100000"\n', '"OfferCode","AmazonEC2"\n')
    yield _line(COLUMNS)
    for number, row in enumerate(rows):
        yield _line([f"SKU{number}" if name == "SKU" else row.get(name, "") for name in COLUMNS])


def _line(values: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(values)
    return text.getvalue()


@contextmanager
def served(offers: Mapping[str, Mapping[str, Iterable[str]]]) -> Iterator[str]:
    """The URL of a price list with `offers`: the lines of an offer file by service and region."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.strip("/").split("/"):
                case ["offers", "v1.0", "aws", service, "current", "region_index.json"] if service in offers:
                    self._answer(
                        [json.dumps({"regions": {region: _entry(service, region) for region in offers[service]}})]
                    )
                case ["offers", "v1.0", "aws", service, "20261103100000", region, "index.csv"]:
                    self._answer(offers[service][region])
                case _:
                    self.send_error(404)

        def _answer(self, lines: Iterable[str]) -> None:
            self.send_response(200)
            self.end_headers()
            for line in lines:
                self.wfile.write(line.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
            """Nothing: a test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _entry(service: str, region: str) -> dict[str, str]:
    url = f"/offers/v1.0/aws/{service}/20261103100000/{region}/index.json"
    return {"regionCode": region, "currentVersionUrl": url}
