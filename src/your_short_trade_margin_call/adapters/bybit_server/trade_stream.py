"""Order entry by stream: the same requests as by REST, answered in the order they came."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from your_short_trade_margin_call.adapters.bybit_server import order_requests
from your_short_trade_margin_call.adapters.bybit_server.account import TradingAccount
from your_short_trade_margin_call.adapters.bybit_server.auth import (
    USUAL_WINDOW_MS,
    check_may_trade,
    check_stream_auth,
    check_window,
    good_account,
)
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, RetCode, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.envelope import trace_id
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import TOO_MANY_TEXT, allow, limit_headers
from your_short_trade_margin_call.adapters.bybit_server.stream_talk import converse, parsed
from your_short_trade_margin_call.adapters.bybit_server.streams import StreamConnection
from your_short_trade_margin_call.adapters.bybit_server.world import World

LONGEST_REQUEST_ID = 36
NOT_ON_DEMO = "WebSocket order entry is not available on demo trading"
OPERATIONS = {
    "order.create": ("/v5/order/create", order_requests.create),
    "order.amend": ("/v5/order/amend", order_requests.amend),
    "order.cancel": ("/v5/order/cancel", order_requests.cancel),
}
_BATCH = "-batch"

Answer = dict[str, Any]


async def trade_stream(request: web.Request) -> web.StreamResponse:
    """/v5/trade."""
    return await converse(request, _Conversation)


class _Conversation:
    """What one client says and is answered. What is asked for is in the log of requests too, as method WS."""

    def __init__(self, world: World, connection: StreamConnection) -> None:
        self._world, self._connection = world, connection
        self._account: TradingAccount | None = None
        self._seen: set[str] = set()
        self._read_ns = 0

    async def hear(self, text: str) -> None:
        """Answer one message."""
        self._read_ns = self._world.requests.now_ns()
        said = parsed(text)
        operation = str(said.get("op", ""))
        if operation == "auth":
            self._auth(said)
        elif operation == "ping":
            now = str(self._world.timeline.shown_ms())
            self._say({"retCode": 0, "retMsg": "OK", "op": "pong", "data": [now]})
        else:
            self._request(said, operation)

    def _auth(self, said: dict[str, Any]) -> None:
        code, text = 0, "OK"
        try:
            if self._account is not None:
                raise ApiError(RetCode.REPEATED_AUTH, "Repeat auth")
            account = check_stream_auth(self._world, said.get("args"))
            if account.config.demo:
                bad_parameter(NOT_ON_DEMO)
            self._account, self._connection.account = account, account.key
        except ApiError as error:
            code, text = int(error.code), error.text
        self._say({"retCode": code, "retMsg": text, "op": "auth"})

    def _request(self, said: dict[str, Any], operation: str) -> None:
        limits: dict[str, str] = {}
        code, text, result, extra = 0, "OK", dict[str, Any](), dict[str, Any]()
        try:
            result, extra = self._carry_out(said, operation, limits)
        except ApiError as error:
            code, text, result = int(error.code), error.text, error.result
        now_ms = self._world.timeline.shown_ms()
        header = {**limits, "Traceid": trace_id(self._world.requests.count), "Timenow": str(now_ms)}
        name = {"reqId": str(said["reqId"])} if "reqId" in said else {}
        body = {"data": result, "retExtInfo": extra, "header": header}
        self._say({**name, "retCode": code, "retMsg": text, "op": operation, **body})

    def _carry_out(self, said: dict[str, Any], operation: str, limits: dict[str, str]) -> tuple[Answer, Answer]:
        """`data` and `retExtInfo` of the answer; `limits` takes the headers.

        Raises:
            ApiError: it was not carried out.
        """
        account = self._admit(said)
        path, act, body = _named(said, operation)
        allowance = allow(self._world, account, path)
        limits.update(limit_headers(self._world, allowance))
        if not allowance.is_allowed:
            raise ApiError(RetCode.TOO_MANY, TOO_MANY_TEXT)
        log, now_ms = self._world.requests, self._world.timeline.shown_ms()
        row = log.arrive("WS", path, "", json.dumps(body), account.key, now_ms, self._read_ns)
        code = -1
        try:
            if operation.endswith(_BATCH):
                answer = order_requests.batch(act, account, body)
            else:
                answer = act(account, body), {}
            code = 0
        except ApiError as error:
            code = int(error.code)
            raise
        finally:
            log.leave(row, None, code)
        return answer

    def _admit(self, said: dict[str, Any]) -> TradingAccount:
        """The account, if it may ask this now.

        Raises:
            ApiError: not authenticated, outside the window, an id seen before, or a key that may not trade.
        """
        if self._account is None:
            raise ApiError(RetCode.SIGNATURE, "Request not authorized")
        request_id = str(said.get("reqId", ""))
        if len(request_id) > LONGEST_REQUEST_ID:
            bad_parameter("params error: reqId has at most 36 characters")
        if request_id and request_id in self._seen:
            raise ApiError(RetCode.REPEATED_REQUEST, "Duplicate reqId")
        self._seen.add(request_id)
        header = said.get("header")
        if not isinstance(header, dict) or "X-BAPI-TIMESTAMP" not in header:
            bad_parameter("params error: header X-BAPI-TIMESTAMP is missing")
        window = header.get("X-BAPI-RECV-WINDOW") or USUAL_WINDOW_MS
        check_window(self._world, str(header["X-BAPI-TIMESTAMP"]), str(window))
        account = good_account(self._world, self._account.key)
        check_may_trade(account)
        return account

    def _say(self, answer: Answer) -> None:
        self._connection.send({**answer, "connId": self._connection.conn_id})


def _named(said: dict[str, Any], operation: str) -> tuple[str, Any, dict[str, Any]]:
    """Path, action and body of an operation.

    Raises:
        ApiError: there is no such operation, or it has no body.
    """
    if operation.removesuffix(_BATCH) not in OPERATIONS:
        raise ApiError(RetCode.OPERATION_UNKNOWN, "op type is not found")
    args = said.get("args")
    if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
        bad_parameter("params error: args is missing")
    return *OPERATIONS[operation.removesuffix(_BATCH)], args[0]
