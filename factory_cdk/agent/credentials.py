"""Credentials of AWS for bots that ask for them (`aws-credentials: true`): the role of the sector, and not all of it.

Each such bot gets a session of the role that can read its own secrets and none of others, and that reaches nothing of
the stage's own: parameters, queues, table, payloads, log group. AWS's SDKs ask for it as they do in a container, from
this process on loopback, with a token that only the bot's workers are told; they ask again before it expires.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from factory_cdk.agent.aws import Aws, asking
from factory_cdk.agent.release import InstalledRelease
from factory_cdk.agent.sector import InstanceSector
from factory_cdk.diagnostics import FactoryError
from factory_cdk.state.runner_spec import PoolSpec
from factory_cdk.state.secrets import Place

DURATION = 3600
"""Seconds that a session lasts: the longest for a role that takes itself on."""

RENEW_BEFORE = timedelta(minutes=20)
"""SDKs ask for others 15 minutes before theirs expire."""

Json = dict[str, Any]
Assume = Callable[[str], Json]
"""Gives the credentials of a session with a policy (JSON), as STS says them; it blocks. FactoryError."""


def session_policy(pool_spec: PoolSpec, installed: InstalledRelease, sector: InstanceSector) -> str:
    """What the role may do in the hands of a bot, as JSON: what it may, but for what is here."""
    spec, stores = installed.spec, installed.stores
    own = sorted({_secret_arn(one.secret) for one in pool_spec.secrets.values() if one.secret is not None})
    secrets = {"NotResource": own} if own else {"Resource": "*"}
    closed = [
        *(f"arn:*:ssm:*:*:parameter{path}" for path in (sector.parameters_path, f"{sector.parameters_path}/*")),
        f"arn:*:logs:*:*:log-group:{sector.log_group}:*",
        f"arn:*:sqs:*:*:{f'{spec.factory}-{spec.stage}-'[:60]}*",
        f"arn:*:s3:::{installed.bucket}/*",
        *([f"arn:*:dynamodb:*:*:table/{stores['history']}*"] if "history" in stores else []),
        *([f"arn:*:s3:::{stores['payloads']}*"] if "payloads" in stores else []),
    ]
    actions = ["dynamodb:*", "logs:*", "s3:*", "sqs:*", "ssm:*"]
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:*", **secrets},
        {"Effect": "Deny", "Action": actions, "Resource": closed},
        {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def role_session(aws: Aws) -> Assume:
    """What takes on the instance's own role once more, with less."""

    def assume(policy: str) -> Json:
        client = aws.client("sts")
        with asking("the sector's role"):
            who = client.get_caller_identity()["Arn"]
            found = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.*", who)
            if found is None:
                raise FactoryError(f"{who} is no session of a role", "give the instance its role")
            role = f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}"
            answer = client.assume_role(RoleArn=role, RoleSessionName="bot", Policy=policy, DurationSeconds=DURATION)
        session: Json = answer["Credentials"]
        return session

    return assume


class BotCredentials:
    """Hands out credentials of `assume`; `say` is told why there are none."""

    def __init__(self, assume: Assume, say: Callable[[str, str], None]) -> None:
        self._assume, self._say, self._lock = assume, say, threading.Lock()
        self._tokens: dict[Place, str] = {}
        self._policies: dict[Place, str] = {}
        self._sessions: dict[str, Json] = {}
        self._server: ThreadingHTTPServer | None = None

    def variables(self, installed: InstalledRelease, sector: InstanceSector) -> Mapping[Place, Mapping[str, str]]:
        """The variables of the bots of `installed` that want credentials, which are as secret as these."""
        found = {}
        for one in installed.spec.pool_specs:
            if one.arguments.aws_credentials:
                policy = session_policy(one, installed, sector)
                token = self._tokens.setdefault(one.place, os.urandom(24).hex())
                self._policies[one.place] = policy
                found[one.place] = {
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self._port()}/{one.label}",
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
                }
        return found

    def close(self) -> None:
        """Hand out none any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def of(self, token: str) -> Json:
        """The credentials of the bot with this token, as SDKs read them. PermissionError; FactoryError."""
        places = [place for place, own in self._tokens.items() if hmac.compare_digest(own, token)]
        if not places:
            raise PermissionError
        policy = self._policies[places[0]]
        with self._lock:
            session = self._sessions.get(policy)
            if session is None or session["Expiration"] - RENEW_BEFORE < datetime.now(UTC):
                session = self._sessions[policy] = self._assume(policy)
        return {
            "AccessKeyId": session["AccessKeyId"],
            "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"],
            "Expiration": session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def answer(self, token: str) -> tuple[int, Json]:
        """The answer to who asks with `token`."""
        try:
            return 200, self.of(token)
        except PermissionError:
            return 403, {"message": "no bot has this token"}
        except FactoryError as error:
            self._say(f"a bot gets no credentials: {error.message}", "ERROR")
            return 500, {"message": error.message}

    def _port(self) -> int:
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
            self._server.daemon_threads = True
            threading.Thread(target=self._server.serve_forever, name="credentials", daemon=True).start()
        return int(self._server.server_address[1])


def _handler(credentials: BotCredentials) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def log_message(self, *_: object) -> None:
            """Nothing: a token is in what was asked."""

        def do_GET(self) -> None:
            """Answer who has a token."""
            status, content = credentials.answer(self.headers.get("Authorization") or "")
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _secret_arn(secret: str) -> str:
    """The pattern of a secret's ARN; a name stands for it with Secrets Manager's six random characters."""
    return secret if secret.startswith("arn:") else f"arn:*:secretsmanager:*:*:secret:{secret}-??????"
