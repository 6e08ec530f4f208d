"""A web chat: a page, and a service between the page and Feather. README.md says how they work together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from featherhq import AsyncFeather, AsyncThread, FeatherError, SQLiteLedger
from featherhq.contrib.responses import message_data
from featherhq.contrib.starlette import EventStreams, error_response
from starlette.applications import Starlette
from starlette.config import Config
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).parent / "static"
config: Final = Config()  # the environment; the client itself reads FEATHER_API_KEY and FEATHER_BASE_URL
AGENT_ID: Final = config("AGENT_ID")
SESSION_SECRET: Final = config("SESSION_SECRET")
HTTPS: Final = config("HTTPS", cast=bool, default=True)
LEDGER: Final = config("LEDGER", default="webchat.sqlite")
COOKIE: Final = Middleware(SessionMiddleware, secret_key=SESSION_SECRET, same_site="strict", https_only=HTTPS)
# Scripts and styles come from this service only, and no other page can show this one in a frame.
RULES: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, object]]:
    """Each process has one client and one ledger."""
    streams = EventStreams(heartbeat=config("HEARTBEAT", cast=float, default=15))
    async with AsyncFeather(ledger=SQLiteLedger(LEDGER)) as feather, streams:
        yield {"feather": feather, "streams": streams}


def own_thread(request: Request) -> AsyncThread:
    """The thread of the URL, if the signed cookie says that it belongs to this visitor."""
    chat = request.path_params["chat"]
    if chat != request.session.get("chat"):
        raise HTTPException(404)
    feather: AsyncFeather = request.state.feather
    return feather.thread(chat)


def check_origin(request: Request) -> None:
    """Refuse what comes from another site: the browser tells so, and another site cannot send JSON."""
    is_json = request.headers.get("content-type", "").partition(";")[0] == "application/json"
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin" or not is_json:
        raise HTTPException(403)


async def page(_: Request) -> Response:
    """The page. It has nothing of a visitor in it."""
    return FileResponse(STATIC / "page.html", headers={"Content-Security-Policy": RULES})


async def current(request: Request) -> Response:
    """Tell which chat the visitor has, if any."""
    return JSONResponse({"chat": request.session.get("chat")}, headers={"Cache-Control": "no-store"})


async def start(request: Request) -> Response:
    """Make a new chat."""
    check_origin(request)
    thread = await request.state.feather.threads.create(AGENT_ID)
    request.session["chat"] = thread.id
    return JSONResponse({"chat": thread.id}, status_code=201)


async def history(request: Request) -> Response:
    """The whole chat. The page reads it when its event stream is open, so it misses nothing between the two."""
    thread = await own_thread(request).refresh()
    body = {"active": thread.is_active is not False, "messages": [message_data(one) async for one in thread.messages()]}
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


async def send(request: Request) -> Response:
    """Send a message. The page gives it an id, and repeats the request until it knows the outcome."""
    check_origin(request)
    thread = own_thread(request)
    try:
        body = await request.json()
        name, text = body["id"], body["text"]
    except (KeyError, TypeError, ValueError):
        raise HTTPException(400) from None
    sent = await thread.send(text, key=f"{thread.id}:{name}", timeout=10)
    return JSONResponse({"id": sent.message_id})


async def events(request: Request) -> Response:
    """What the agent says from now on, or after the `Last-Event-ID` of the browser."""
    streams: EventStreams = request.state.streams
    return streams.response(own_thread(request))


app = Starlette(
    routes=[
        Route("/", page),
        Route("/chat", current),
        Route("/chats", start, methods=["POST"]),
        Route("/chats/{chat}/messages", history),
        Route("/chats/{chat}/messages", send, methods=["POST"]),
        Route("/chats/{chat}/events", events),
        Mount("/static", StaticFiles(directory=STATIC)),
    ],
    middleware=[Middleware(RequestBodyLimitMiddleware, max_body_size=64 * 1024), COOKIE],
    exception_handlers={FeatherError: error_response},
    lifespan=lifespan,
)
