"""The pages as one site, in two languages, that asks nothing of any other server."""

import os
import socket
from functools import cache
from io import BytesIO
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response
from fontTools.ttLib import TTFont
from gradio.themes import Base, colors
from starlette.middleware.trustedhost import TrustedHostMiddleware

from app.language import LANGUAGES, in_language
from app.models import Models
from app.pages import data_page, results_page, runs_page, try_page
from app.project import Project
from core.look import REGULAR

# gradio's page names servers of fonts and scripts, which the browser must not ask
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:"
)
FONTS = ["maerak", "system-ui", "sans-serif"]
THEME = Base(primary_hue=colors.blue, font=FONTS, font_mono=["ui-monospace", "monospace"]).set(
    color_accent="*primary_600",
    link_text_color_dark="*primary_300",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
)
HEAD = f"<style>{Path(__file__).with_name('style.css').read_text('utf-8')}</style>"


def serve(project: Project, listening: socket.socket, host: str) -> None:
    """Serve the pages on a socket until interrupted."""
    app = website(project, host)
    # open pages listen for ever, and must not hold up the end
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


def website(project: Project, host: str) -> FastAPI:
    """The pages: English at /, Korean at /ko."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host in ("127.0.0.1", "localhost", "::1"):  # no other page's name may lead here
        app.add_middleware(TrustedHostMiddleware, ["127.0.0.1", "localhost", "[::1]"])

    @app.middleware("http")
    async def closed(request: Request, go_on) -> Response:
        response = await go_on(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.get("/font.ttf")
    def font() -> Response:
        return Response(korean_font(), media_type="font/ttf")

    models = Models(project)
    for language in sorted(LANGUAGES, reverse=True):  # / would take what is under it
        path = "/" if language == "en" else f"/{language}"
        gr.mount_gradio_app(
            app,
            pages(project, models, language),
            path,
            footer_links=[],
            theme=THEME,
            head=HEAD,
            ssr_mode=False,
        )
    return app


@cache
def korean_font() -> bytes:
    """The Korean font without the tables of its editor, one of them empty: browsers refuse it."""
    font, file = TTFont(REGULAR), BytesIO()
    for table in [name for name in font.keys() if name.startswith("TSI")]:  # noqa: SIM118
        del font[table]
    font.save(file)
    return file.getvalue()


def pages(project: Project, models: Models, language: str) -> gr.Blocks:
    """All pages in one language."""
    say = in_language(language)
    with gr.Blocks(title="Maerak", analytics_enabled=False) as blocks:
        [other] = LANGUAGES.keys() - {language}
        where = "/" if other == "en" else f"/{other}/"
        link = f"<a href='{where}' lang='{other}'>{LANGUAGES[other]}</a>"
        gr.HTML(f"<div class='site'>{link}<h1>Maerak 맥락</h1></div>")
        with gr.Tabs() as tabs:
            with gr.Tab(say("Try"), id="try"):
                asked = try_page.build(project, models, say)
            with gr.Tab(say("Data"), id="data") as data:
                data_page.build(project, say, data, tabs, asked)
            with gr.Tab(say("Results"), id="results") as results:
                results_page.build(project, say, results, tabs, asked)
            with gr.Tab(say("Runs"), id="runs") as runs:
                runs_page.build(project, say, runs)
    return blocks
