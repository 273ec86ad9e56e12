"""The pages in a real Chromium, served by a real process: what a customer and an operator see and can do.

Without Chromium these tests are skipped, unless CI or REQUIRE_BROWSER is set: then its absence is a failure.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from demo_shop import HOSTILE, MANUAL, PRICE, STAMP, UNCLEAR
from web_server import LOADING, free_port

from chatbot.store import Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("CI") == "true" or os.environ.get("REQUIRE_BROWSER") == "1"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PASSWORD = "correct horse battery staple"
INPUT = "#fd-input textarea"
MILLISECONDS = 60_000  # how long anything may take to appear
RELOADS = 40
PAUSE_MILLISECONDS = 250

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="Chromium is not installed (apt-get install chromium)"
)


class Server:
    """The application as a process of its own, which can be killed and started again on the same data and port."""

    def __init__(self, folder: Path, *options: str, port: int) -> None:
        self.folder, self.port, self._options = folder, port, options
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        script = Path(__file__).with_name("web_server.py")
        place = ["--data-dir", str(self.folder), "--port", str(self.port)]
        command = [sys.executable, str(script), *place, *self._options]
        self._process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(script.parents[1])})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the server ended"
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/healthz")
                return
            time.sleep(0.1)
        raise AssertionError("the server did not start")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(20)


@contextmanager
def server(folder: Path, *options: str, port: int = 0) -> Iterator[Server]:
    with Store.open(folder / "frontdesk.db") as store:
        store.add_user("ada", PASSWORD, "operator")
    running = Server(folder, *options, port=port or free_port())
    running.start()
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    assert CHROMIUM is not None, "Chromium is required here and not installed: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def profile(chromium: Any) -> Iterator[Any]:
    """Makes browser profiles that know nothing of each other."""
    profiles = []

    def make(**options: Any) -> Any:
        profiles.append(chromium.new_context(**{"viewport": {"width": 1200, "height": 800}, **options}))
        profiles[-1].set_default_timeout(MILLISECONDS)
        return profiles[-1]

    yield make
    for made in profiles:
        made.close()


def open_chat(context: Any, url: str) -> Any:
    page = context.new_page()
    page.goto(url)
    ready(page)
    return page


def ready(page: Any) -> None:
    """Wait until a page, or a frame, has what its load event brings; the hidden ticket is part of that."""
    from playwright.sync_api import expect

    expect(page.locator("#fd-ticket").locator("textarea, input")).not_to_have_value("", timeout=MILLISECONDS)


def reload(page: Any) -> None:
    """Load a page again, also where it does so itself at the same moment.

    Gradio's client that lost its server in the middle of a call asks every two seconds whether it is back, and then
    calls `location.reload()`. Of two reloads that meet, Chromium refuses or aborts ours with one of these errors; the
    page reloads itself once only, so that ours meets nothing once that is through: we try again for ten seconds.
    """
    from playwright.sync_api import Error

    met = ("Not attached to an active page", "net::ERR_ABORTED; maybe frame was detached?")
    for tries_left in reversed(range(RELOADS)):
        try:
            page.reload()
            return
        except Error as error:
            if not tries_left or not any(words in error.message for words in met):
                raise
            page.wait_for_timeout(PAUSE_MILLISECONDS)


def say(page: Any, words: str, replies: int = 1) -> None:
    """Send a message and wait until there are `replies` whole replies."""
    page.fill(INPUT, words)
    page.press(INPUT, "Enter")
    finished(page, replies)


def finished(page: Any, replies: int) -> None:
    page.wait_for_function(
        "n => document.querySelectorAll('.fd-reply').length === n && !document.querySelector('.fd-typing')"
        " && document.querySelector('#fd-input .submit-button')",
        arg=replies,
    )


def test_a_customer_asks_watches_the_reply_grow_and_finds_it_again_after_a_crash(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    assert "You are talking to an AI assistant" in page.inner_text("#fd-head")
    page.fill(INPUT, MANUAL.question)
    page.press(INPUT, "Enter")
    lengths = set()
    while page.query_selector(".fd-sources") is None:
        shown = page.query_selector(".fd-answer")
        lengths.add(len(shown.inner_text()) if shown else 0)
        page.wait_for_timeout(40)
    assert len(lengths) > 4, "the reply did not grow"
    finished(page, 1)
    page.click(".fd-source summary")
    assert "Then turn the pearl knob." in page.inner_text(".fd-entry")
    with page.context.expect_page() as opened:
        page.click("text=Open this entry")
    assert opened.value.inner_text("h1") == MANUAL.question
    reload(page)
    page.wait_for_selector("text=Then turn the red knob.")
    site.kill(signal.SIGKILL)
    site.start()
    reload(page)
    page.wait_for_selector("text=Then turn the red knob.")
    assert page.inner_text(".fd-said") == MANUAL.question


def test_a_page_that_was_open_during_a_crash_goes_on_in_its_conversation(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    say(page, "before the crash")
    site.kill()
    site.start()
    # Where the crash met a call that was still ending, the page reloads itself as soon as it notices that the server is
    # back, and what was typed before that is gone, as a customer would see.
    for said in iter(lambda: page.locator(".fd-said").count(), 2):
        assert said == 1
        page.wait_for_selector("text=Connection Lost", state="hidden")
        ready(page)
        page.evaluate("window.stayed = true")
        page.fill(INPUT, "after the crash")
        page.press(INPUT, "Enter")
        page.wait_for_function("() => document.querySelectorAll('.fd-said').length === 2 || !window.stayed")
        ready(page)
        page.wait_for_selector(".fd-said")
    finished(page, 2)
    assert page.locator(".fd-said").all_inner_texts() == ["before the crash", "after the crash"]


def test_what_was_typed_and_not_sent_is_there_after_the_page_was_loaded_again(profile: Any, site: Server) -> None:
    from playwright.sync_api import expect

    page = open_chat(profile(), site.url)
    say(page, "hello")
    page.fill(INPUT, "half a <b>question</b>")
    site.kill()
    site.start()
    reload(page)
    expect(page.locator(INPUT)).to_have_value("half a <b>question</b>", timeout=MILLISECONDS)
    page.press(INPUT, "Enter")
    finished(page, 2)
    assert page.locator(".fd-said").all_inner_texts() == ["hello", "half a <b>question</b>"]
    reload(page)
    ready(page)
    page.wait_for_timeout(PAUSE_MILLISECONDS)
    expect(page.locator(INPUT)).to_have_value("")


def test_what_was_streamed_when_the_server_was_killed_is_kept_and_can_be_tried_again(
    profile: Any, site: Server
) -> None:
    page = open_chat(profile(), site.url)
    page.fill(INPUT, MANUAL.question)
    page.press(INPUT, "Enter")
    page.wait_for_selector("text=blue knob")
    site.kill()
    site.start()
    reload(page)
    page.wait_for_selector("text=Stopped before the end.")
    assert page.inner_text(".fd-answer").startswith("Then turn the red knob. Then turn the blue knob.")
    page.click("#fd-again")
    page.wait_for_selector("#fd-input .stop-button")
    page.wait_for_selector("text=red knob")
    page.click("#fd-input .stop-button")
    finished(page, 1)


def test_two_browsers_never_see_each_other(profile: Any, site: Server) -> None:
    first, second = open_chat(profile(), site.url), open_chat(profile(), site.url)
    say(first, "a word for me alone: halibut")
    say(second, "something else")
    reload(second)
    second.wait_for_selector("text=something else")
    second.click("#fd-earlier")
    second.wait_for_selector("#fd-list button")
    assert second.locator("#fd-list button").count() == 1
    assert "halibut" not in second.content()


def test_the_chat_can_be_used_with_the_keyboard_alone(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    focused = "() => document.activeElement.closest('#fd-input') !== null"
    page.wait_for_function(focused)
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    finished(page, 1)
    assert page.inner_text(".fd-said") == "first line\nsecond line"
    assert page.evaluate(focused), "the focus left the input"
    page.keyboard.type(UNCLEAR)
    page.keyboard.press("Enter")
    finished(page, 2)
    page.focus("button.option")
    page.keyboard.press("Enter")
    finished(page, 3)
    page.wait_for_function(focused)
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('.fd-source summary')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".fd-source[open]")
    assert page.locator(".fd-source[open]").count() == 1
    names = page.evaluate(
        "[...document.querySelectorAll('button, textarea')].filter(e => e.offsetParent !== null && "
        "!(e.getAttribute('aria-label') || e.innerText.trim() || e.title || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert names == [], "something has no name for a screen reader"


def test_a_running_reply_can_be_stopped(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    page.fill(INPUT, MANUAL.question)
    page.press(INPUT, "Enter")
    page.wait_for_selector("text=red knob")
    page.click("#fd-input .stop-button")
    finished(page, 1)
    assert "Stopped before the end." in page.inner_text(".fd-reply")
    assert "pearl knob" not in page.inner_text(".fd-reply")


def test_a_message_that_is_sent_while_a_reply_is_written_is_answered_after_it(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    page.fill(INPUT, MANUAL.question)
    page.press(INPUT, "Enter")
    page.wait_for_selector("text=red knob")
    page.fill(INPUT, PRICE.question)
    page.press(INPUT, "Enter")
    finished(page, 2)
    assert page.locator(".fd-said").all_inner_texts() == [MANUAL.question, PRICE.question]
    assert "pearl knob" in page.inner_text(".fd-reply >> nth=0")
    assert page.input_value(INPUT) == ""


def test_enter_pressed_twice_sends_nothing_that_is_half_typed(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    page.fill(INPUT, MANUAL.question)
    page.press(INPUT, "Enter")
    page.press(INPUT, "Enter")
    page.wait_for_selector("text=red knob")
    page.press(INPUT, "Enter")
    page.keyboard.type("What does del")
    finished(page, 1)
    page.wait_for_timeout(PAUSE_MILLISECONDS)
    assert page.locator(".fd-said").all_inner_texts() == [MANUAL.question]
    assert page.input_value(INPUT) == "What does del"
    for replies in (2, 3):  # the same words typed anew are meant
        say(page, PRICE.question, replies)


def test_a_thumb_down_asks_what_was_wrong_and_copying_gives_plain_words(profile: Any, site: Server) -> None:
    context = profile(permissions=["clipboard-read", "clipboard-write"])
    page = open_chat(context, site.url)
    say(page, "What does <b>delivery</b> cost?")
    page.click("#fd-chat button[title='Copy message']:visible")
    copied = page.wait_for_function("navigator.clipboard.readText()").json_value()  # it is written a moment later
    assert copied.startswith("Standard delivery costs 4.90 euro.")
    assert "<" not in copied
    page.click("#fd-chat button[title='Dislike']:visible")
    page.fill("#fd-comment-text textarea", "too short")
    page.click("text=Send feedback")
    page.wait_for_selector("text=Thank you, that helps.")
    reload(page)
    page.wait_for_selector("#fd-chat button[title='Disliked']:visible")


def test_a_new_chat_begins_and_the_earlier_one_is_found_again(profile: Any, site: Server) -> None:
    page = open_chat(profile(), site.url)
    page.click("#fd-chat .example >> nth=0")
    finished(page, 1)
    page.click("#fd-new")
    page.wait_for_selector("#fd-chat .example")
    page.click("#fd-earlier")
    page.click(f"#fd-list button >> text={PRICE.question}")
    page.wait_for_selector("text=Standard delivery costs")
    page.wait_for_selector("#fd-list", state="hidden")


def test_a_new_chat_during_a_reply_stays_empty_and_the_reply_is_kept_as_far_as_it_came(
    profile: Any, site: Server
) -> None:
    page = open_chat(profile(), site.url)
    page.fill(INPUT, MANUAL.question)
    page.press(INPUT, "Enter")
    page.wait_for_selector("text=red knob")
    page.click("#fd-new")
    page.wait_for_selector("#fd-chat .example")
    page.wait_for_timeout(1500)
    assert page.locator("#fd-chat .example").count() == 3
    say(page, "a fresh start")
    assert page.locator(".fd-said").all_inner_texts() == ["a fresh start"]
    page.click("#fd-earlier")
    page.click(f"#fd-list button >> text={MANUAL.question}")
    page.wait_for_selector("text=Stopped before the end.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chat_fits_a_phone(profile: Any, site: Server, scheme: str) -> None:
    context = profile(viewport={"width": 375, "height": 740}, has_touch=True, is_mobile=True, color_scheme=scheme)
    page = open_chat(context, site.url)
    page.wait_for_selector("#fd-chat .example")
    say(page, f"{PRICE.question} {'x' * 120}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    for selector in (INPUT, "#fd-new", ".fd-reply", "#fd-input .submit-button"):
        box = page.locator(selector).first.bounding_box()
        assert box["x"] >= 0, selector
        assert box["x"] + box["width"] <= 375, selector
        assert box["y"] + box["height"] <= 740, selector


def test_hostile_words_run_no_script_and_reach_no_other_host(profile: Any, site: Server) -> None:
    customer, outside = profile(), []
    customer.on("request", lambda r: None if r.url.startswith((site.url, "data:", "blob:")) else outside.append(r.url))
    page = open_chat(customer, site.url)
    for number, words in enumerate((HOSTILE, "<svg/onload=window.hacked=5>", STAMP.question), start=1):
        say(page, words, replies=number)
    assert page.locator("#fd-chat .message img").count() == 0
    operator = profile()
    operator.on("request", lambda r: None if r.url.startswith((site.url, "data:", "blob:")) else outside.append(r.url))
    desk = signed_in(operator, site.url)
    desk.click("[role=gridcell] >> text=onerror")
    desk.wait_for_selector(".fd-turn")
    for shown in (page, desk):
        shown.wait_for_timeout(300)
        assert shown.evaluate("window.hacked") is None
    assert outside == []


def signed_in(context: Any, url: str) -> Any:
    desk = context.new_page()
    desk.goto(f"{url}/admin")
    sign_in(desk)
    return desk


def sign_in(desk: Any) -> None:
    desk.fill("#name", "ada")
    desk.fill("#password", PASSWORD)
    desk.click("text=Sign in >> nth=-1")
    desk.wait_for_selector("[role=gridcell]")


def test_an_operator_filters_reads_the_trace_and_signs_out(profile: Any, site: Server) -> None:
    say(open_chat(profile(), site.url), "unknown porcupine")
    desk = signed_in(profile(), site.url)
    desk.fill("#fd-filters textarea, #fd-filters input >> nth=0", "porcupine")
    desk.keyboard.press("Enter")
    desk.wait_for_function("() => document.querySelectorAll('[role=gridcell][data-col=\"1\"]').length === 1")
    desk.click("[role=gridcell] >> text=unknown porcupine")
    desk.wait_for_selector(".fd-turn")
    assert "Declined to answer, because no entry answers (probability 100.0 %)." in desk.inner_text(".fd-why")
    desk.click(".fd-turn summary")
    assert "a" * 64 in desk.inner_text(".fd-turn")
    desk.click("text=Sign out")
    desk.wait_for_selector("#password")
    desk.goto(f"{site.url}/admin/")
    assert desk.url == f"{site.url}/sign-in"


def test_what_an_operator_writes_on_the_knowledge_page_answers_the_customer_who_asked_in_vain(
    profile: Any, tmp_path: Path
) -> None:
    question = "Is the <b>velvet</b> lamp back in stock?"
    with server(tmp_path) as site:
        customer = open_chat(profile(), site.url)
        say(customer, question)
        assert "In March." not in customer.inner_text("#fd-chat")
        desk = profile().new_page()
        desk.goto(f"{site.url}/admin/knowledge")
        sign_in(desk)
        desk.click("nav >> text=Knowledge")
        desk.wait_for_selector("#fd-entries [role=gridcell] >> text=What does delivery cost?")
        desk.click("[role=tab] >> text=Not answered")
        desk.click("#fd-gaps [role=gridcell] >> text=velvet")
        desk.wait_for_function("words => document.querySelector('#fd-question textarea').value === words", arg=question)
        desk.fill("#fd-answer-text textarea", "In March.")
        desk.click("#fd-save")
        desk.wait_for_selector("#fd-told >> text=Saved.")
        began = time.monotonic()
        say(customer, question, replies=2)
        assert time.monotonic() - began < MILLISECONDS / 1000
        assert "In March." in customer.locator(".fd-reply").last.inner_text()
        assert "<b>velvet</b>" in customer.locator(".fd-source").last.inner_text(), "a customer's words stay words"
        desk.click("#fd-retire")
        desk.wait_for_selector("#fd-told >> text=Retired.")
        say(customer, question, replies=3)
        assert "In March." not in customer.locator(".fd-reply").last.inner_text()


def test_who_has_not_signed_in_sees_nothing_of_the_knowledge_page(profile: Any, site: Server) -> None:
    stranger = profile().new_page()
    for path in ("/admin/knowledge", "/admin/knowledge/"):
        stranger.goto(f"{site.url}{path}")
        assert stranger.url == f"{site.url}/sign-in"
        assert stranger.locator("#fd-form").count() == 0


def test_the_page_says_that_models_are_loading_and_answers_when_they_are(profile: Any, tmp_path: Path) -> None:
    with server(tmp_path, "--loading-until", str(tmp_path / "ready")) as site:
        page = open_chat(profile(), site.url)
        page.wait_for_selector(f"text=The assistant is starting: {LOADING}.")
        page.fill(INPUT, PRICE.question)
        page.press(INPUT, "Enter")
        page.wait_for_selector(".fd-typing")
        (tmp_path / "ready").touch()
        finished(page, 1)
        assert "4.90 euro" in page.inner_text(".fd-reply")
        page.wait_for_selector("#fd-loading", state="hidden")


@contextmanager
def other_site(folder: Path, chat: str) -> Iterator[str]:
    """A company's own page, on another port and another host name than the chat."""
    folder.mkdir()
    page = f"<!doctype html><title>Shop</title><h1>Our shop</h1><script src='{chat}/embed.js' async></script>"
    (folder / "index.html").write_text(page, encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:  # nobody reads it
            pass

    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=pages.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{pages.server_port}"
    finally:
        pages.shutdown()
        thread.join()
        pages.server_close()


def test_the_snippet_opens_the_chat_on_a_page_of_another_origin_and_remembers_it(profile: Any, tmp_path: Path) -> None:
    # "localhost" and "127.0.0.1" are different sites for a browser, so the cookie in the frame is a third party's.
    port = free_port()
    with (
        other_site(tmp_path / "shop", f"http://127.0.0.1:{port}") as origin,
        server(tmp_path, "--allowed-origin", origin, port=port),
    ):
        page = profile().new_page()
        page.goto(origin)
        button = page.locator("#frontdesk-button")
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-expanded") == "true"
        frame = page.frame_locator("#frontdesk-panel iframe")
        ready(frame)
        frame.locator(INPUT).fill(PRICE.question)
        frame.locator(INPUT).press("Enter")
        frame.locator(".fd-answer >> text=Standard delivery costs").wait_for()
        button.click()
        assert button.get_attribute("aria-expanded") == "false"
        reload(page)
        page.locator("#frontdesk-button").click()
        page.frame_locator("#frontdesk-panel iframe").locator(".fd-answer >> text=Standard delivery costs").wait_for()


def test_a_site_that_is_not_allowed_cannot_frame_the_chat(profile: Any, tmp_path: Path, site: Server) -> None:
    with other_site(tmp_path / "stranger", site.url) as origin:
        page = profile().new_page()
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.goto(origin)
            page.locator("#frontdesk-button").click()
        assert page.frame_locator("#frontdesk-panel iframe").locator(INPUT).count() == 0
