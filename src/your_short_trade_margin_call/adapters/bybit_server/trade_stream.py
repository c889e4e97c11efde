"""Order entry by stream: the same requests as by REST, answered in the order they came, with the same faults."""

from __future__ import annotations

import json
from functools import partial
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
from your_short_trade_margin_call.adapters.bybit_server.batch_requests import BATCHES, batch
from your_short_trade_margin_call.adapters.bybit_server.bus import encode
from your_short_trade_margin_call.adapters.bybit_server.codes import ApiError, RetCode, bad_parameter
from your_short_trade_margin_call.adapters.bybit_server.envelope import STREAMS, trace_id
from your_short_trade_margin_call.adapters.bybit_server.fault_layer import (
    ERRORS,
    OF_REQUESTS,
    TOO_MANY,
    break_service,
    is_refused,
    no_more_until,
)
from your_short_trade_margin_call.adapters.bybit_server.optional_fields import message_without
from your_short_trade_margin_call.adapters.bybit_server.rate_limits import TOO_MANY_TEXT, allow, limit_headers
from your_short_trade_margin_call.adapters.bybit_server.request_log import LoggedRequest
from your_short_trade_margin_call.adapters.bybit_server.socket_faults import PlannedFault, SocketFault
from your_short_trade_margin_call.adapters.bybit_server.stream_talk import converse, parsed
from your_short_trade_margin_call.adapters.bybit_server.streams import StreamConnection, Streams
from your_short_trade_margin_call.adapters.bybit_server.world import World

LONGEST_REQUEST_ID = 36
NOT_ON_DEMO = "WebSocket order entry is not available on demo trading"
SINGLES = {
    "/v5/order/create": order_requests.create,
    "/v5/order/amend": order_requests.amend,
    "/v5/order/cancel": order_requests.cancel,
}
OPERATIONS = {path.removeprefix("/v5/").replace("/", "."): path for path in (*SINGLES, *BATCHES)}
"""What can be asked for (``order.create-batch``), and the path of the same request by REST."""

Answer = dict[str, Any]


async def trade_stream(request: web.Request) -> web.StreamResponse:
    """/v5/trade."""
    return await converse(request, partial(_Conversation, request.app[STREAMS]))


class _Conversation:
    """What one client says and is answered. What is asked for is in the log of requests too, as method WS."""

    def __init__(self, streams: Streams, world: World, connection: StreamConnection) -> None:
        self._streams, self._world, self._connection = streams, world, connection
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
            await self._request(said, operation)

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

    async def _request(self, said: dict[str, Any], operation: str) -> None:
        """Carry a request out, with whatever is planned for it."""
        path, faults = _path_of(operation), self._world.faults
        if self._account is None or not path:
            return self._say(self._answered(said, operation))
        if delay := faults.take((SocketFault.DELAY,), path, self._account.key):
            await self._world.timeline.nap(delay.ms / 1_000.0)
            self._world.advance()
        order = faults.take(OF_REQUESTS, path, self._account.key)
        if order is None:
            self._say(self._answered(said, operation))
        elif is_refused(order):
            self._instead(said, operation, order)
        else:
            self._spoilt(self._answered(said, operation), order)

    def _instead(self, said: dict[str, Any], operation: str, order: PlannedFault) -> None:
        """What happens to a request that is not carried out. There is no 403 here: the connection is cut."""
        code, text = TOO_MANY if order.fault is SocketFault.TOO_MANY else ERRORS.get(order.fault, (None, ""))
        row = self._noted(_path_of(operation), _body_of(said) or {})
        self._world.requests.leave(row, None, code)
        if code is None:
            break_service(order, self._world, self._streams)
            return self._connection.cut()
        limits = no_more_until(order, self._world) if order.fault is SocketFault.TOO_MANY else {}
        self._say(self._envelope(said, operation, (code, text), limits))

    def _spoilt(self, answer: Answer, order: PlannedFault) -> None:
        """The request was carried out; this is what becomes of its answer."""
        if order.fault in ERRORS:
            code, text = ERRORS[order.fault]
            self._say({**answer, "retCode": code, "retMsg": text, "data": {}})
        elif order.fault is SocketFault.MISSING_FIELDS:
            self._say(message_without(answer, "data", order.fields))
        elif order.fault is SocketFault.TRUNCATED:
            text = encode(answer)
            self._connection.subscriber.put(text[: len(text) // 2])
        else:
            self._connection.cut()

    def _answered(self, said: dict[str, Any], operation: str) -> Answer:
        limits: dict[str, str] = {}
        verdict, result, extra = (0, "OK"), dict[str, Any](), dict[str, Any]()
        try:
            result, extra = self._carry_out(said, operation, limits)
        except ApiError as error:
            verdict, result = (int(error.code), error.text), error.result
        return self._envelope(said, operation, verdict, limits, result, extra)

    def _envelope(
        self,
        said: dict[str, Any],
        operation: str,
        verdict: tuple[int, str],
        limits: dict[str, str],
        result: Answer | None = None,
        extra: Answer | None = None,
    ) -> Answer:
        now_ms = self._world.timeline.shown_ms()
        header = {**limits, "Traceid": trace_id(self._world.requests.count), "Timenow": str(now_ms)}
        name = {"reqId": str(said["reqId"])} if "reqId" in said else {}
        body = {"data": result or {}, "retExtInfo": extra or {}, "header": header}
        return {**name, "retCode": verdict[0], "retMsg": verdict[1], "op": operation, **body}

    def _carry_out(self, said: dict[str, Any], operation: str, limits: dict[str, str]) -> tuple[Answer, Answer]:
        """`data` and `retExtInfo` of the answer; `limits` takes the headers.

        Raises:
            ApiError: it was not carried out.
        """
        account = self._admit(said)
        path, body = _named(said, operation)
        row, code = self._noted(path, body), -1
        try:
            if path in BATCHES:
                answer = batch(self._world, account, path, body, limits)
            else:
                answer = self._single(account, path, body, limits), {}
            code = 0
        except ApiError as error:
            code = int(error.code)
            raise
        finally:
            self._world.requests.leave(row, None, code)
        return answer

    def _single(self, account: TradingAccount, path: str, body: dict[str, Any], limits: dict[str, str]) -> Answer:
        allowance = allow(self._world, account, path)
        limits.update(limit_headers(self._world, allowance))
        if not allowance.is_allowed:
            raise ApiError(RetCode.TOO_MANY, TOO_MANY_TEXT)
        return SINGLES[path](account, body)

    def _noted(self, path: str, body: dict[str, Any]) -> LoggedRequest:
        """A row of the log; `leave` must follow."""
        log, now_ms = self._world.requests, self._world.timeline.shown_ms()
        return log.arrive("WS", path, "", json.dumps(body), self._connection.account, now_ms, self._read_ns)

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
        self._connection.answer({**answer, "connId": self._connection.conn_id})


def _path_of(operation: str) -> str:
    """What REST calls an operation; empty for none."""
    return OPERATIONS.get(operation, "")


def _body_of(said: dict[str, Any]) -> dict[str, Any] | None:
    """The body of a request, if it has one."""
    args = said.get("args")
    return args[0] if isinstance(args, list) and len(args) == 1 and isinstance(args[0], dict) else None


def _named(said: dict[str, Any], operation: str) -> tuple[str, dict[str, Any]]:
    """Path and body of an operation.

    Raises:
        ApiError: there is no such operation, or it has no body.
    """
    if operation not in OPERATIONS:
        raise ApiError(RetCode.OPERATION_UNKNOWN, "op type is not found")
    body = _body_of(said)
    if body is None:
        bad_parameter("params error: args is missing")
    return OPERATIONS[operation], body
