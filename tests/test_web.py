"""The web application on a real port: who is who, what is refused, and what a page gets to see."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from demo_shop import BACK, ENTRIES, HOSTILE, MANUAL, ORDER, PRICE, SECRET, SETTINGS, UNCLEAR
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from web_server import LOADING, Page, Served, served

from chatbot.config import Limits as LimitSettings
from chatbot.phrases import PHRASES
from chatbot.store import ConversationFilter, User
from chatbot.types import Citation, Reply, TurnRequest
from chatbot.ui import messages as shown
from chatbot.ui.words import percent
from chatbot.web import markup
from chatbot.web.cookies import OPERATOR_COOKIE, VISITOR_COOKIE, Operators, Visitors, of_headers
from knowledge_base import snapshots
from knowledge_base.home import writing

FRAMED = SETTINGS.model_copy(update={"allowed_origins": ["https://www.shop.example"]})
PASSWORD = "correct horse battery staple"
ADA = User("ada", "operator", datetime(2026, 11, 1, tzinfo=UTC))
LONG = 4_000
DECLINED = PHRASES["en"]["nothing_fits"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("site")) as running:
        running.store.add_user("ada", PASSWORD, "operator")
        yield running


@pytest.fixture
def quiet_site(tmp_path: Path) -> Iterator[Served]:
    """A site of its own, for tests that use up its limits."""
    limits = LimitSettings(messages_per_minute=3, waiting_turns=1)
    with served(tmp_path, SETTINGS.model_copy(update={"limits": limits})) as running:
        running.store.add_user("ada", PASSWORD, "operator")
        yield running


def visitor_of(browser: httpx.Client) -> str:
    visitor_id = Visitors(SECRET).identify(dict(browser.cookies))
    assert visitor_id is not None
    return visitor_id


def words(output: list[Any]) -> str:
    """All that a page shows in its conversation, as HTML."""
    return " ".join(block["text"] for message in output[0]["value"] for block in message["content"])


def notice(output: list[Any]) -> str:
    return str(output[4].get("value", ""))


def press(page: Page, handler: str) -> None:
    """Call a handler beside one that still runs, and do not wait for what it returns."""
    place = next(d["id"] for d in page.config["dependencies"] if d["api_name"] == handler)
    body = {"data": [], "fn_index": place, "session_hash": page.session}
    url = page.browser.base_url.join("/gradio_api/queue/join")
    httpx.post(url, json=body, cookies=page.browser.cookies).raise_for_status()


# ----- visitors ------------------------------------------------------------------------------------------------------


def test_a_browser_gets_a_signed_cookie_and_stays_the_same_visitor(site: Served) -> None:
    with site.browser() as browser:
        first = browser.get("/").headers["set-cookie"]
        assert "HttpOnly" in first
        assert "SameSite=Lax" in first
        visitor_id = visitor_of(browser)
        browser.get("/")
        assert visitor_of(browser) == visitor_id


@pytest.mark.parametrize("beside", ['prefs={"lang":"en"}', "seen", "city=München", "note=two words", '="'])
def test_cookies_of_other_sites_of_the_host_hide_ours_from_nobody(site: Served, beside: str) -> None:
    with site.browser() as browser:
        browser.get("/")
        visitor_id, ours = visitor_of(browser), browser.cookies[VISITOR_COOKIE]
        headers = [(b"cookie", f"{beside}; {VISITOR_COOKIE}={ours}".encode())]
        assert Visitors(SECRET).identify(of_headers(Headers(raw=headers))) == visitor_id
        assert visitor_id in httpx.get(f"{site.url}/", headers=headers).headers["set-cookie"]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,"\\'), max_size=120))
def test_a_cookie_that_was_made_up_proves_nothing(value: str) -> None:
    assert Visitors(SECRET).identify({VISITOR_COOKIE: value}) is None
    assert Operators(SECRET, lambda: [ADA]).identify({OPERATOR_COOKIE: value}) is None


def test_a_cookie_of_another_deployment_or_purpose_proves_nothing() -> None:
    scope = {"type": "http", "scheme": "https", "headers": []}
    visitor = Visitors("another secret").header(None, scope).split(";")[0].partition("=")[2]
    assert Visitors("another secret").identify({VISITOR_COOKIE: visitor}) is not None
    assert Visitors(SECRET).identify({VISITOR_COOKIE: visitor}) is None
    operators = Operators(SECRET, lambda: [ADA])
    operator = operators.header(ADA, scope).split(";")[0].partition("=")[2]
    assert operators.identify({OPERATOR_COOKIE: operator}) == "ada"
    assert Visitors(SECRET).identify({VISITOR_COOKIE: operator}) is None
    assert operators.identify({OPERATOR_COOKIE: visitor}) is None
    assert Operators("another secret", lambda: [ADA]).identify({OPERATOR_COOKIE: operator}) is None


@pytest.mark.parametrize(
    ("scheme", "host", "framed", "expected"),
    [
        ("https", "chat.shop.example", True, "; SameSite=None; Secure; Partitioned"),
        ("http", "localhost:7860", True, "; SameSite=None; Secure; Partitioned"),
        ("http", "127.0.0.1:7860", True, "; SameSite=None; Secure; Partitioned"),
        ("http", "[::1]:7860", True, "; SameSite=None; Secure; Partitioned"),
        ("http", "chat.intranet", True, "; SameSite=Lax"),
        ("http", "localhost.evil.example", True, "; SameSite=Lax"),
        ("https", "chat.shop.example", False, "; SameSite=Lax; Secure"),
        ("http", "localhost:7860", False, "; SameSite=Lax"),
    ],
)
def test_the_cookie_fits_where_the_chat_is_shown(scheme: str, host: str, framed: bool, expected: str) -> None:
    scope = {"type": "http", "scheme": scheme, "headers": [(b"host", host.encode())]}
    assert Visitors(SECRET, framed).header(None, scope).endswith(f"; HttpOnly{expected}")


def test_a_browser_without_cookies_is_told_so_and_nothing_is_kept(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        browser.cookies.clear()
        assert "does not keep cookies" in notice(page.call("load"))
        refused = page.call("send", "Hello without cookies", "", "")
        assert "does not keep cookies" in notice(refused)
        assert refused[1]["value"] == "Hello without cookies"
        assert site.store.search(ConversationFilter(text="without cookies")) == []


# ----- what is refused at the door -----------------------------------------------------------------------------------


def test_every_answer_carries_the_security_headers(site: Served) -> None:
    with site.browser() as browser:
        for path in ("/", "/healthz", "/sources/faq-price", "/sign-in", "/nothing"):
            headers = browser.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "same-origin", path
            assert "frame-ancestors" in headers["content-security-policy"], path
            assert "unsafe-eval" not in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in browser.get("/sign-in").headers["content-security-policy"]


def test_only_allowed_origins_may_show_the_chat_in_a_frame(tmp_path: Path, site: Served) -> None:
    with site.browser() as browser:
        assert browser.get("/").headers["content-security-policy"].endswith("frame-ancestors 'self'")
    with served(tmp_path, FRAMED) as framed, framed.browser() as browser:
        policy = browser.get("/").headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'self' https://www.shop.example")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "file://", "http://["])
def test_a_post_from_another_origin_is_refused(site: Served, origin: str) -> None:
    with site.browser() as browser:
        for path in ("/gradio_api/queue/join", "/sign-in", "/sign-out"):
            assert browser.post(path, json={}, headers={"Origin": origin}).status_code == 403
        assert browser.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert browser.post("/sign-out", headers={"Origin": site.url}).status_code == 303


def test_no_other_origin_may_read_answers(site: Served) -> None:
    with site.browser() as browser:
        answer = browser.get("/config", headers={"Origin": "http://localhost:1234"})
        assert "access-control-allow-origin" not in answer.headers


def test_a_body_over_64_kb_is_refused_before_it_is_read(site: Served) -> None:
    body = b"x" * (64 * 1024 + 1)

    def drip() -> Iterator[bytes]:  # a body that does not say how long it is
        yield from (body[start : start + 8192] for start in range(0, len(body), 8192))

    with site.browser() as browser:
        assert browser.post("/sign-in", content=body).status_code == 413
        assert browser.post("/sign-in", content=drip()).status_code == 413
        assert browser.post("/sign-in", content=body[: 64 * 1024]).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/run/send",
        "/gradio_api/call/send",
        "/gradio_api/info",
        "/gradio_api/runs",
        "/gradio_api/vibe-code",
        "/monitoring",
        "/monitoring/summary",
        "/docs",
        "/openapi.json",
        "/login",
        "/gradio_api/token",
    ],
)
def test_doors_of_gradio_that_the_pages_do_not_need_are_closed(site: Served, path: str) -> None:
    with site.browser() as browser:
        assert browser.get(path).status_code == 404
        assert browser.post(path, json={"data": []}).status_code == 404
        assert browser.get(f"/admin{path}").status_code in (303, 401, 404)


def test_other_methods_are_refused(site: Served) -> None:
    with site.browser() as browser:
        assert browser.delete("/").status_code == 405


def test_a_flood_of_requests_is_told_when_to_come_back(quiet_site: Served) -> None:
    with quiet_site.browser() as browser:
        answers = [browser.post("/sign-out") for _ in range(601)]
    assert answers[599].status_code == 303
    assert answers[600].status_code == 429
    assert 1 <= int(answers[600].headers["retry-after"]) <= 60


# ----- public routes -------------------------------------------------------------------------------------------------


def test_health_says_whether_the_models_are_loaded(tmp_path: Path, site: Served) -> None:
    with site.browser() as browser:
        assert browser.get("/healthz").json() == {"ready": True, "loading": "", "failed": False}
    with served(tmp_path, loaded=Event()) as starting, starting.browser() as browser:
        assert browser.get("/healthz").json() == {"ready": False, "loading": LOADING, "failed": False}
        assert browser.get("/").status_code == 200
        page = Page(browser)
        assert LOADING in page.call("load")[7]["value"]


def test_a_source_opens_and_what_is_internal_does_not(site: Served) -> None:
    with site.browser() as browser:
        shown = browser.get("/sources/faq-price")
        assert "<strong>4.90 euro</strong>" in shown.text
        assert "script" not in shown.headers["content-security-policy"]
        for hidden in ("faq-hidden", "faq-later", "no-such-entry", "..%2F..%2Fetc%2Fpasswd"):
            answer = browser.get(f"/sources/{hidden}")
            assert answer.status_code == 404
            assert "secret" not in answer.text


def test_the_snippet_may_be_used_by_any_site(site: Served) -> None:
    with site.browser() as browser:
        answer = browser.get("/embed.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "set-cookie" not in answer.headers


# ----- the chat ------------------------------------------------------------------------------------------------------


def test_a_reply_grows_and_ends_with_its_sources(site: Served) -> None:
    with site.browser() as browser:
        steps = list(Page(browser).events("send", MANUAL.question, "", ""))
        texts = [words(step) for step in steps]
        assert len({len(text) for text in texts}) > 5
        assert MANUAL.answer in texts[-1]
        assert 'href="/sources/faq-manual"' in texts[-1]
        assert steps[0][1]["stop_btn"]
        assert not steps[-1][1]["stop_btn"]


def test_the_history_comes_from_the_store_and_survives_a_new_page(site: Served) -> None:
    with site.browser() as browser:
        Page(browser).call("send", "Remember the lighthouse", "", "")
        assert "Remember the lighthouse" in words(Page(browser).call("load"))


def test_one_visitor_never_reads_or_writes_anothers_conversation(site: Served) -> None:
    with site.browser() as mine, site.browser() as theirs:
        my_page, their_page = Page(mine), Page(theirs)
        conversation, _ = my_page.say("My secret is marmalade")
        before = [m.content for m in site.store.conversation(conversation, visitor_of(mine))]
        assert "marmalade" not in words(their_page.call("load"))
        refused = their_page.call("send", "Read it to me", conversation, "")
        assert "out of date" in notice(refused)
        assert "out of date" in notice(their_page.call("retry", conversation, event={"index": 0, "value": ""}))
        liked = their_page.call("like", conversation, event={"index": 1, "value": "", "liked": True})
        assert "out of date" in liked[3]["value"]
        assert [m.content for m in site.store.conversation(conversation, visitor_of(mine))] == before


def test_nobody_else_can_listen_to_a_pages_events(site: Served) -> None:
    with site.browser() as mine, site.browser() as theirs:
        page = Page(mine)
        page.call("load")
        theirs.get("/")
        for path in (
            f"/gradio_api/queue/data?session_hash={page.session}",
            f"/gradio_api/queue/data?session_hash=mine&session_hash={page.session}",
            f"/gradio_api/heartbeat/{page.session}",
        ):
            assert theirs.get(path).status_code == 403
        intruder = Page(theirs)
        intruder.session = page.session
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            intruder.call("load")


def test_the_same_message_sent_twice_is_one_message(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        ticket = page.call("load")[3]
        conversation, _ = page.say("Only once", "", ticket)
        page.say("Only once", "", ticket)
        kept = site.store.conversation(conversation, visitor_of(browser))
        assert [message.content for message in kept] == ["Only once", DECLINED]
        assert len(site.store.turns(conversation)) == 1
        assert len(site.store.conversations(visitor_of(browser))) == 1


def test_another_message_with_a_ticket_that_was_used_is_kept_too(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        ticket = page.call("load")[3]
        conversation, _ = page.say("The first", "", ticket)
        page.say("The second", conversation, ticket)
        kept = site.store.conversation(conversation, visitor_of(browser))
        assert [message.content for message in kept if message.role == "user"] == ["The first", "The second"]


def test_a_message_that_is_too_long_is_refused_before_the_bot_and_given_back(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        refused = page.call("send", "x" * (LONG + 1), "", "")
        assert "4,001 characters; at most 4,000" in notice(refused)
        assert refused[1]["value"] == "x" * (LONG + 1)
        assert site.store.conversations(visitor_of(browser)) == []


def test_too_many_messages_are_refused_before_the_bot(quiet_site: Served) -> None:
    with quiet_site.browser() as browser:
        page = Page(browser)
        for number in range(3):
            assert f"message {number}" in words(page.call("send", f"message {number}", "", ""))
        refused = page.call("send", "message 3", "", "")
        assert re.search(r"Please wait \d+ seconds", notice(refused))
        kept = quiet_site.store.conversations(visitor_of(browser))
        assert [row.title for row in kept] == ["message 2", "message 1", "message 0"]


def test_when_all_places_are_taken_the_message_is_kept_and_can_be_tried_again(quiet_site: Served) -> None:
    go_on = Event()
    middle = quiet_site.engine.n_tokens // 2
    quiet_site.engine.on_token = lambda number: number < middle or go_on.wait(20)
    with quiet_site.browser() as busy, quiet_site.browser() as late:
        running = Page(busy).events("send", MANUAL.question, "", "")
        while "red knob" not in words(next(running)):
            pass
        page = Page(late)
        conversation, refused = page.say(PRICE.question)
        assert "Many people are asking just now." in notice(refused)
        assert refused[5]["visible"]
        assert [m.content for m in quiet_site.store.conversation(conversation, visitor_of(late))] == [PRICE.question]
        assert quiet_site.store.turns(conversation) == []
        go_on.set()
        assert MANUAL.answer in words(list(running)[-1])
        answered = page.call("retry", conversation, event={"index": 0, "value": ""})
        assert "4.90 euro" in words(answered)


def test_a_message_sent_while_loading_is_kept_at_once_and_answered_when_ready(tmp_path: Path) -> None:
    loaded = Event()
    with served(tmp_path, loaded=loaded) as starting, starting.browser() as browser:
        events = Page(browser).events("send", PRICE.question, "", "")
        conversation = next(events)[2]
        assert [m.content for m in starting.store.conversation(conversation, visitor_of(browser))] == [PRICE.question]
        loaded.set()
        assert "4.90 euro" in words(list(events)[-1])


def test_who_begins_a_new_chat_while_loading_does_not_see_the_old_one_come_back(tmp_path: Path) -> None:
    with served(tmp_path, loaded=Event()) as starting, starting.browser() as browser:
        page = Page(browser)
        events = page.events("send", "First!", "", "")
        next(events)
        press(page, "new")
        last = list(events)[-1]
        assert "starting" not in notice(last)
        assert "First!" not in str(last[0].get("value", ""))


def test_half_a_character_is_kept_mended_in_one_message(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        page.call("send", "half \ud83d of it", "", "")
        (conversation,) = site.store.conversations(visitor_of(browser))
        asked = [m.content for m in site.store.conversation(conversation.id, visitor_of(browser)) if m.role == "user"]
        assert asked == ["half \ufffd of it"]


def test_stopping_keeps_what_was_written_and_offers_another_try(tmp_path: Path) -> None:
    with served(tmp_path) as site, site.browser() as browser:
        site.engine.on_token = lambda _number: time.sleep(0.02)
        page = Page(browser)
        events = page.events("send", MANUAL.question, "", "")
        conversation = next(events)[2]
        for step in events:
            if "green knob" in words(step):
                break
        press(page, "stop")
        last = list(events)[-1]
        assert "Stopped before the end." in words(last)
        assert last[5]["visible"]
        kept = site.store.conversation(conversation, visitor_of(browser))[-1]
        assert kept.status == "interrupted"
        assert kept.content.startswith("Then turn the red knob. Then turn the blue knob. Then turn the green knob.")
        assert MANUAL.answer.startswith(kept.content)
        assert kept.content != MANUAL.answer


def test_a_page_that_is_closed_ends_its_turn_and_the_partial_reply_is_kept(tmp_path: Path) -> None:
    with served(tmp_path) as site, site.browser() as browser:
        site.engine.on_token = lambda _number: time.sleep(0.02)
        events = Page(browser).events("send", MANUAL.question, "", "")
        conversation = next(events)[2]
        for step in events:
            if "red knob" in words(step):
                break
        events.close()  # type: ignore[attr-defined]  # it is a generator
        visitor_id, deadline = visitor_of(browser), time.monotonic() + 20
        while (kept := site.store.conversation(conversation, visitor_id))[-1].status == "generating":
            assert time.monotonic() < deadline, "the turn went on without its page"
            time.sleep(0.1)
        assert kept[-1].status == "interrupted"
        assert kept[-1].content.startswith("Then turn the red knob.")
        assert MANUAL.answer.startswith(kept[-1].content)
        assert kept[-1].content != MANUAL.answer


def test_a_model_that_breaks_is_a_stored_reply_with_the_contact(tmp_path: Path) -> None:
    def breaks(number: int) -> None:
        if number > 3:
            raise RuntimeError("a part broke")

    with served(tmp_path) as site, site.browser() as browser:
        site.engine.on_token = breaks
        conversation, last = Page(browser).say(MANUAL.question)
        assert "Something went wrong on our side" in words(last)
        assert last[5]["visible"]
        kept = site.store.conversation(conversation, visitor_of(browser))[-1]
        assert (kept.status, kept.reason, kept.contact) == ("failed", "model_failed", SETTINGS.contact)


class BrokenBot:
    ready, failed, loading = True, False, ""

    def reply(self, request: TurnRequest, cancelled: Event) -> Iterator[Reply]:
        raise RuntimeError("a part broke")


def test_a_bot_that_breaks_shows_a_sentence_and_the_contact(tmp_path: Path) -> None:
    with served(tmp_path, bot=BrokenBot()) as site, site.browser() as browser:
        last = Page(browser).call("send", "Hello?", "", "")
        assert "Something went wrong on our side" in notice(last)
        assert SETTINGS.contact in html.unescape(notice(last))
        assert "RuntimeError" not in str(last)
        assert last[5]["visible"]


def test_retry_takes_the_place_of_the_reply(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        conversation, _ = page.say("Again")
        page.call("retry", conversation, event={"index": 0, "value": "Again"})
        assert len(site.store.conversation(conversation, visitor_of(browser))) == 2
        assert len(site.store.turns(conversation)) == 2


def test_thumbs_and_what_was_wrong_are_kept(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        page.call("send", "Rate me", "", "")
        visitor_id = visitor_of(browser)
        conversation = site.store.conversations(visitor_id)[0].id
        row, _comment, rated, _notice = page.call("like", conversation, event={"index": 1, "value": "", "liked": False})
        assert row["visible"]
        page.call("tell", rated, "Not what I asked")
        turn = site.store.turns(conversation)[0]
        assert (turn.rating, turn.comment) == ("down", "Not what I asked")
        page.call("like", conversation, event={"index": 1, "value": "", "liked": ""})
        assert site.store.turns(conversation)[0].rating is None
        own_message = page.call("like", conversation, event={"index": 0, "value": "", "liked": True})
        assert "out of date" in own_message[3]["value"]


def test_quick_replies_and_first_questions_are_sent_as_messages(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        started = page.call("pick", "", "", event={"index": 0, "value": {"text": UNCLEAR}})
        options = started[0]["value"][-1]["options"]
        assert [option["label"] for option in options] == [ORDER.question, BACK.question, "None of these"]
        conversation = site.store.conversations(visitor_of(browser))[0].id
        picked = page.call("pick_1", conversation, "", event={"index": 0, "value": options[0]["value"]})
        assert ORDER.answer in words(picked)
        assert all(not message["options"] for message in picked[0]["value"])


def test_an_earlier_conversation_opens_from_the_list(site: Served) -> None:
    with site.browser() as browser:
        page = Page(browser)
        page.call("send", "About the teapot", "", "")
        page.call("new")
        page.call("send", "About the kettle", "", "")
        _open, _drawer, listed = page.call("toggle", None)
        assert len(listed["samples"]) == 2
        assert "About the kettle" in listed["sample_labels"][0]
        assert "About the teapot" in words(page.call("open", 1))


# ----- operators -----------------------------------------------------------------------------------------------------


def sign_in(browser: httpx.Client, name: str = "ada", password: str = PASSWORD) -> httpx.Response:
    return browser.post("/sign-in", data={"name": name, "password": password})


def test_operators_pages_are_closed_without_signing_in(site: Served) -> None:
    with site.browser() as browser:
        assert browser.get("/admin").headers["location"] == "/sign-in"
        assert browser.get("/admin/").headers["location"] == "/sign-in"
        for path in ("/admin/config", "/admin/gradio_api/queue/data?session_hash=x", "/admin/assets/x.js"):
            assert browser.get(path).status_code == 401
        assert browser.post("/admin/gradio_api/queue/join", json={}).status_code == 401


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(site: Served) -> None:
    with site.browser() as browser:
        wrong_password, wrong_name = (
            sign_in(browser, password="guess"),
            sign_in(browser, name="<b>eve", password="guess"),
        )
        assert wrong_password.status_code == wrong_name.status_code == 401
        assert "The name or the password is wrong." in wrong_password.text
        assert "The name or the password is wrong." in wrong_name.text
        assert "<b>eve" not in wrong_name.text
        assert OPERATOR_COOKIE not in browser.cookies


def test_an_operator_finds_a_conversation_and_reads_how_it_came_about(site: Served) -> None:
    asked = f"{MANUAL.question} <i>Velvet</i>"
    with site.browser() as customer, site.browser() as browser:
        conversation, _ = Page(customer).say(asked)
        answer = sign_in(browser)
        assert answer.status_code == 303
        assert "HttpOnly" in answer.headers["set-cookie"]
        page = Page(browser, "/admin")
        table, _offset, _span = page.call("first", "velvet", "any", "any", "any", 1)
        rows = table["data"]
        assert [row[1] for row in rows] == [asked]
        for filters in (("velvet", "down", "any", "any", 1), ("velvet", "any", "decline", "any", 1)):
            assert page.call("first", *filters)[0]["data"] == []
        assert page.call("first", "velvet", "any", "any", "any", 0.5)[0]["data"] == []
        [detail] = page.call("show", event={"index": [0, 0], "value": "", "row_value": rows[0]})
        assert html.escape(asked) in detail
        (turn,) = site.store.turns(conversation)
        assert turn.decision is not None
        best, certainty = turn.trace["hits"][0], turn.decision.probability
        for fact in (
            f"the model wrote from the entries and the gate agreed (probability {percent(certainty)})",
            "order",
            "71.0 %",
            "faq-manual",
            f"{best['score']:.3f}",
            f"searching {turn.seconds['find']:.2f} s",
            "a" * 64,
            "c" * 64,
            turn.trace["knowledge"],
            "wholly 95.0 %",
        ):
            assert fact in detail


def test_who_was_removed_has_to_sign_in_again_also_when_added_anew_with_another_password(tmp_path: Path) -> None:
    with served(tmp_path) as shop, shop.browser() as browser:
        shop.store.add_user("ada", PASSWORD, "operator")
        sign_in(browser)
        assert browser.get("/admin/").status_code == 200
        shop.store.remove_user("ada")
        assert browser.get("/admin/").headers["location"] == "/sign-in"
        shop.store.add_user("ada", f"another {PASSWORD}", "operator")
        assert browser.get("/admin/").headers["location"] == "/sign-in"
        assert browser.get("/admin/config").status_code == 401
        sign_in(browser, password=f"another {PASSWORD}")
        assert browser.get("/admin/").status_code == 200


def test_the_knowledge_page_and_its_handlers_are_closed_without_signing_in(site: Served) -> None:
    with site.browser() as browser:
        for path in ("/admin/knowledge", "/admin/knowledge/"):
            assert browser.get(path).headers["location"] == "/sign-in"
        for path in ("config", "gradio_api/queue/data?session_hash=x", "gradio_api/heartbeat/x", "assets/x.js"):
            assert browser.get(f"/admin/knowledge/{path}").status_code == 401
        assert browser.post("/admin/knowledge/gradio_api/queue/join", json={"fn_index": 0}).status_code == 401
        for path in ("gradio_api/upload", "gradio_api/file=x", "gradio_api/run/save", "gradio_api/call/save"):
            assert browser.post(f"/admin/knowledge/{path}", json={}).status_code == 404


def test_an_operator_keeps_the_knowledge_and_the_bot_knows_it_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as shop, shop.browser() as browser:
        knowledge = shop.parts.knowledge
        shop.store.add_user("ada", PASSWORD, "operator")
        sign_in(browser)
        page = Page(browser, "/admin/knowledge")
        assert [row[0] for row in page.call("load")[0]["data"]] == [entry.question for entry in ENTRIES]
        question, answer = f"=1+1 {HOSTILE}", "Two years. <script>window.hacked = 1</script>"
        fields = [question, answer, "warranty", "", "", "", "public", "", "", True]
        saved = page.call("save", None, *fields)
        assert "Saved." in saved[-1]["value"]
        [added] = [
            entry for entry in snapshots.read_current(tmp_path / "home").entries.values() if entry.answer == answer
        ]
        assert (added.question, added.alternatives) == (question, ("warranty",))
        assert snapshots.read_current(tmp_path / "home").edits[added.id].by == "ada"
        assert knowledge.search("warranty")[0].entry == added, "the running bot has it already"
        hits, why = page.call("search", "warranty", "")
        assert hits["data"][0][0] == question
        assert "<script>" not in why
        assert "&lt;script&gt;" in why
        assert "Nothing fits: " in why
        refused = page.call("save", None, "", "", *fields[2:])
        assert "expected a question" in refused[-1]["value"]
        with writing(tmp_path / "home"):
            assert "by somebody else at this moment" in page.call("retire", None)[-1]["value"]
        assert added.id in snapshots.read_current(tmp_path / "home").entries
        assert "Retired." in page.call("retire", None)[-1]["value"]
        assert added.id not in knowledge.entries
        rows = page.call("first", "", "retired", "any", "any")[0]["data"]
        assert [row[-1] for row in rows] == [added.id]


def test_signing_out_and_being_removed_close_the_operators_page(quiet_site: Served) -> None:
    with quiet_site.browser() as browser:
        sign_in(browser)
        assert browser.get("/admin/").status_code == 200
        browser.post("/sign-out")
        assert browser.get("/admin/").status_code == 303
        sign_in(browser)
        quiet_site.store.remove_user("ada")
        assert browser.get("/admin/").status_code == 303


def test_attempts_to_sign_in_are_limited_even_with_the_right_password(quiet_site: Served) -> None:
    with quiet_site.browser() as browser:
        for _ in range(10):
            assert sign_in(browser, password="guess").status_code == 401
        refused = sign_in(browser)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert OPERATOR_COOKIE not in browser.cookies


# ----- words as HTML -------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Collects what a browser would obey."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


pieces = st.sampled_from(
    [
        "<script>",
        "</p>",
        "<img src=x onerror=a()>",
        "![x](http://e/)",
        "[x](javascript:a)",
        "&#60;",
        "`",
        "\n\n",
        "\r\r",
        "\u2028",
        "<!--",
    ]
)


@given(st.lists(pieces | st.text(max_size=12)).map("".join))
def test_text_of_a_customer_is_shown_as_written_and_never_obeyed(content: str) -> None:
    source = markup.text(content)
    assert {tag for tag, _ in Tags(source).tags} <= {"br"}
    assert len(source.splitlines()) <= 1, "a Markdown reader behind us must see one line"
    assert len(markup.line(content).splitlines()) <= 1


@given(st.lists(pieces | st.text(max_size=12)).map("".join))
def test_markdown_yields_allowed_tags_and_addresses_only(content: str) -> None:
    source = markup.markdown(content)
    assert "\n" not in source
    for tag, attributes in Tags(source).tags:
        assert tag in markup.TAGS
        assert set(attributes) <= {"href", "rel", "target", "start"}
        if "href" in attributes:
            address = attributes["href"] or ""
            assert ":" not in address or address.split(":")[0].lower() in markup.SCHEMES


def test_a_hostile_reply_is_shown_as_text() -> None:
    source = markup.markdown(HOSTILE)
    assert {tag for tag, _ in Tags(source).tags} <= {"p", "a"}
    assert "javascript:" not in str(Tags(source).tags)


def test_an_answer_with_numbers_in_brackets_is_shown_as_it_stands() -> None:
    answer = "Call 030 1234567 and press [1] for sales, [2] for support."
    assert answer in shown.assistant(answer, citations=(Citation(1, "faq-1", "Sales?", answer, ""),))["content"]


def test_a_link_to_a_source_must_be_one_that_may_be_followed() -> None:
    assert markup.link("https://shop.example/a?b=1&c=2", "A & B").startswith(
        '<a href="https://shop.example/a?b=1&amp;c'
    )
    assert markup.link("javascript:alert(1)", "x") == ""
    assert markup.link("/relative", "x") == ""


def test_a_message_of_the_same_ticket_from_another_visitor_is_another_message(site: Served) -> None:
    first = site.store.add_message(TurnRequest("a" * 32, None, "mine", "same"))
    second = site.store.add_message(TurnRequest("b" * 32, None, "yours", "same"))
    assert first.conversation_id != second.conversation_id
