# This file is part of ts_calibrationscripts.
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the desk, and what can be done at them."""

from __future__ import annotations

__all__ = ["Desk"]

import asyncio
import base64
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..butler.images import NoImageError
from ..deciding import Choice, DecisionError, count_waiting, decide, waiting_in
from ..files.contents import is_run_id
from ..files.index import RunIndex, RunLine
from ..files.private import one_line
from ..record import DecisionKind
from ..threads import in_thread
from ._access import Access, cookie_of, is_own
from ._progress import progress_of
from ._reading import Reading
from ._render import render
from ._runs import Runs, UnknownError

T = TypeVar("T")

_PAGE = 50
"""Runs that are listed at once."""

_PATIENCE = 2.0
"""Longest wait for runs that are read, before that is said (s)."""

_READ_TIMEOUT = 60.0
"""Longest wait for the Butler (s)."""

_FOLLOW_TIME = 3600.0
"""How long a running run is followed; then the browser asks again (s)."""

_LOOK_INTERVAL = 0.5
"""Time between two looks at the journal of a running run (s)."""

_HEADERS = {
    # Pictures in a page are data; its style is in it.
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_STATIC = Path(__file__).parent / "static"


class Desk:
    """What waits for a person, the evidence, and the decision.

    Parameters
    ----------
    folder : `pathlib.Path`
        Where the journals and reports of runs are.
    names : `~collections.abc.Mapping` [`str`, `str`] or `None`
        Names of users, by their tokens; `None` if everybody may look, and
        decisions are refused.
    """

    def __init__(self, folder: Path, names: Mapping[str, str] | None) -> None:
        self._folder = folder
        self._access = Access(names)
        self._runs = Runs(folder)
        self._index = RunIndex(folder, count_waiting)
        self._reading = Reading(self._index)
        self.application = Starlette(
            routes=[
                Route("/", self._home),
                Route("/login", self._login_page),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Route("/run/{run_id}", self._run),
                Route("/run/{run_id}/report", self._report),
                Route("/run/{run_id}/events", self._events),
                Route("/run/{run_id}/decide", self._decide, methods=["POST"]),
                Route("/run/{run_id}/product/{product}", self._product),
                Route("/run/{run_id}/product/{product}/trend", self._trend),
                Route("/run/{run_id}/product/{product}/{detector:int}/curve", self._curve),
                Route("/run/{run_id}/product/{product}/{detector:int}/{kind}.png", self._image),
                Route("/run/{run_id}/product/{product}/{detector:int}/frame/{exposure:int}", self._frame),
                Mount("/static", StaticFiles(directory=_STATIC)),
            ],
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guard)],
            exception_handlers={
                UnknownError: self._not_found,
                NoImageError: self._not_found,
                TimeoutError: self._too_slow,
            },
        )

    async def _guard(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Refuse what is not of this desk's users."""
        path = request.scope["path"]
        public = path == "/login" or path.startswith("/static/")
        if not is_own(request):
            response: Response = self._refusal(request, 403, "This desk answers to its own pages only.")
        elif request.method not in ("GET", "HEAD") and self._access.read_only:
            response = self._refusal(request, 403, "This desk is for looking only.")
        elif not public and not self._access.may_look(request):
            response = self._login_form(request, 401, "")
        else:
            response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        user = self._access.user(request)
        html = render(template, user=user, read_only=self._access.read_only, **values)
        return HTMLResponse(html, status)

    def _refusal(self, request: Request, status: int, text: str) -> HTMLResponse:
        return self._page(request, "message.html.j2", status, text=text, back="/")

    async def _not_found(self, request: Request, error: Exception) -> Response:
        return self._refusal(request, 404, f"Not found: {error}.")

    async def _too_slow(self, request: Request, error: Exception) -> Response:
        text = f"The repository did not answer within {_READ_TIMEOUT:g} s. Try again later."
        return self._refusal(request, 504, text)

    def _login_form(self, request: Request, status: int, problem: str) -> HTMLResponse:
        return self._page(request, "login.html.j2", status, problem=problem)

    async def _login_page(self, request: Request) -> Response:
        return self._login_form(request, 200, "")

    async def _log_in(self, request: Request) -> Response:
        form = await request.form()
        session = self._access.log_in(str(form.get("token", "")))
        if session is None:
            return self._login_form(request, 403, "That is not a token of this desk.")
        response = RedirectResponse("/", 303)
        response.set_cookie(cookie_of(request), session, httponly=True, samesite="strict")
        return response

    async def _log_out(self, request: Request) -> Response:
        self._access.log_out(request)
        return RedirectResponse("/login", 303)

    async def _home(self, request: Request) -> Response:
        number = _number(request.query_params.get("page"))
        problem, lines, count = "", list[RunLine](), 0
        try:
            if not await in_thread(lambda: self._reading.finish(_PATIENCE)):
                return self._still_reading(request)
            waiting, lines, count = await in_thread(lambda: self._listed(number))
            products = await in_thread(
                lambda: [product for line in waiting for product in self._runs.waiting(line.run_id)]
            )
        except (OSError, sqlite3.Error) as error:
            problem = (
                f"The index of the runs in {self._folder} cannot be used, so they are not listed: {error}."
            )
            products = await in_thread(lambda: list(waiting_in(self._folder)))
        return self._page(
            request,
            "home.html.j2",
            products=products,
            lines=lines,
            count=count,
            number=number,
            last=max(0, (count - 1) // _PAGE),
            problem=problem,
            folder=self._folder,
            now=time.time(),
        )

    def _still_reading(self, request: Request) -> Response:
        """Say how many runs have been read, and look again soon."""
        response = self._page(
            request,
            "reading.html.j2",
            folder=self._folder,
            n_read=self._reading.n_read,
            n_runs=self._reading.n_runs,
        )
        response.headers["Refresh"] = "1"
        return response

    def _listed(self, number: int) -> tuple[list[RunLine], list[RunLine], int]:
        """Return runs of which something waits, a page of all, how many."""
        return (
            self._index.lines(waiting=True, limit=-1),
            self._index.lines(limit=_PAGE, offset=number * _PAGE),
            self._index.count(),
        )

    async def _run(self, request: Request) -> Response:
        run_id = _run_id(request)
        record = await in_thread(lambda: self._runs.record(run_id))
        try:
            document = await in_thread(lambda: self._runs.document(run_id))
            problem = ""
        except UnknownError as error:
            document, problem = None, str(error)
        return self._page(
            request,
            "run.html.j2",
            record=record,
            report=document.report if document else None,
            problem=problem,
            waiting=await in_thread(lambda: self._runs.waiting_of(record)),
            products=self._runs.products(record),
            progress=progress_of(record),
        )

    async def _report(self, request: Request) -> Response:
        run_id = _run_id(request)
        return HTMLResponse(await in_thread(lambda: self._runs.page(run_id)))

    async def _product(self, request: Request) -> Response:
        run_id, product = _run_id(request), request.path_params["product"]
        evidence = await in_thread(lambda: self._runs.evidence(run_id, product))
        return self._page(request, "product.html.j2", evidence=evidence)

    async def _trend(self, request: Request) -> Response:
        run_id, product = _run_id(request), request.path_params["product"]
        pictures = await in_thread(lambda: self._runs.trend(run_id, product))
        return self._page(request, _part(request, "trend"), run_id=run_id, product=product, pictures=pictures)

    async def _curve(self, request: Request) -> Response:
        run_id, given = _run_id(request), request.path_params
        read = self._runs.curve(run_id, given["product"], given["detector"])
        picture = await _in_time(read)
        return self._page(
            request, _part(request, "curve"), run_id=run_id, product=given["product"], picture=picture
        )

    async def _image(self, request: Request) -> Response:
        run_id, given = _run_id(request), request.path_params
        read = self._runs.image(run_id, given["product"], given["detector"], given["kind"])
        return _png(await _in_time(read))

    async def _frame(self, request: Request) -> Response:
        run_id, given = _run_id(request), request.path_params
        exposure, detector = given["exposure"], given["detector"]
        shown = await _in_time(self._runs.frame(run_id, given["product"], exposure, detector))
        evidence = await in_thread(lambda: self._runs.evidence(run_id, given["product"]))
        return self._page(
            request,
            "frame.html.j2",
            evidence=evidence,
            exposure=exposure,
            detector=detector,
            shown=shown,
            png=base64.b64encode(shown.png).decode("ascii"),
        )

    async def _decide(self, request: Request) -> Response:
        run_id, user = _run_id(request), self._access.user(request)
        if user is None:
            return self._login_form(request, 401, "")
        form = {key: str(value).strip() for key, value in (await request.form()).items()}
        if form.get("action") not in ("accept", "reject"):
            return self._refusal(request, 400, "A decision is to accept or to reject.")
        choice = Choice(
            DecisionKind(form["action"]),
            user,
            form.get("reason", ""),
            tuple(filter(None, [form.get("product", "")])),
            form.get("source") or None,
            form.get("collection") or None,
            form.get("begin_date") or None,
            form.get("end_date") or None,
        )
        back = f"/run/{run_id}"
        if not choice.products:
            return self._refusal(request, 400, "A decision is about a product.")
        try:
            decided = await decide(self._folder, run_id, choice)
        except DecisionError as error:
            return self._page(request, "message.html.j2", 409, text=str(error), back=back)
        return self._page(request, "decided.html.j2", decided=decided, back=back, choice=choice)

    async def _events(self, request: Request) -> Response:
        run_id = _run_id(request)
        await in_thread(lambda: self._runs.record(run_id))
        return StreamingResponse(self._follow(run_id), media_type="text/event-stream")

    async def _follow(self, run_id: str) -> AsyncIterator[str]:
        """Yield what changes in the journal of a run, until it ends."""
        loop = asyncio.get_running_loop()
        end, seen = loop.time() + _FOLLOW_TIME, ""
        while loop.time() < end:
            record = await in_thread(lambda: self._runs.record(run_id))
            progress = progress_of(record)
            html = render("progress.html.j2", progress=progress)
            if html != seen:
                seen = html
                yield "event: progress\n" + "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
            if not progress.running:
                yield "event: end\ndata: \n\n"
                return
            await asyncio.sleep(_LOOK_INTERVAL)


def _run_id(request: Request) -> str:
    run_id: str = request.path_params["run_id"]
    if not is_run_id(run_id):
        raise UnknownError("that is not the id of a run")
    return run_id


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 8 else 0


def _part(request: Request, name: str) -> str:
    """Return the template of a part: as a page if it is opened by itself."""
    is_page = request.headers.get("sec-fetch-dest") == "document"
    return f"{name}_page.html.j2" if is_page else f"{name}_part.html.j2"


def _png(content: bytes) -> Response:
    return Response(content, media_type="image/png")


async def _in_time(read: Callable[[], T]) -> T:
    """Read from the Butler, which raises errors of many families."""
    work: Awaitable[T] = in_thread(read)
    try:
        return await asyncio.wait_for(work, _READ_TIMEOUT)
    except (NoImageError, UnknownError, TimeoutError):
        raise
    except Exception as error:
        raise NoImageError(one_line(f"{type(error).__name__}: {error}")) from error
