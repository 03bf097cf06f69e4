"""The chat examples in a real browser: ``tox -e browser``. Screenshots are kept in the tests' temporary folder."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from animus.emulator import Emulator
from tests.examples.gate import AFTER, BEFORE, HaltingModel
from tests.examples.visitor import PASSWORDS, SITES, environment_of, serving
from tests.servers import Answer, HttpServer

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_DRIVER = shutil.which("chromedriver")
_LACKING = [
    name
    for name, found in {
        "gunicorn": importlib.util.find_spec("gunicorn"),
        "selenium": importlib.util.find_spec("selenium"),
        "chromium": _CHROMIUM,
        "chromedriver": _DRIVER,
    }.items()
    if not found
]
pytestmark = pytest.mark.skipif(bool(_LACKING), reason=f"needs {', '.join(_LACKING)}: tox -e browser, with Debian's chromium-driver")

_PATIENCE = 30.0
_ASK_FOR_A_TOKEN = """
const done = arguments[arguments.length - 1];
fetch(arguments[0], {method: "POST", credentials: "include"})
    .then((answer) => answer.json().then((told) => done([answer.status, Boolean(told.accessToken)])), (error) => done([error.name, false]));
"""

_SETTLE = """
const passing = document.getAnimations().filter((animation) => animation.effect.getComputedTiming().endTime !== Infinity);
Promise.allSettled(passing.map((animation) => animation.finished)).then(arguments[arguments.length - 1]);
"""

_SCROLL_UP = """
const list = document.querySelector("#messages"), done = arguments[arguments.length - 1];
list.addEventListener("scroll", () => requestAnimationFrame(() => done()), {once: true});
list.scrollTop = 0;
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(_CHROMIUM)
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--no-sandbox",  # which root cannot have
        "--disable-dev-shm-usage",  # containers have little of it
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-proxy-server",
        "--window-size=1000,820",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "*")  # the way to the driver is on this machine
        environment.setenv("no_proxy", "*")
        driver = webdriver.Chrome(options, webdriver.ChromeService(_DRIVER))
    driver.set_script_timeout(_PATIENCE)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def page(driver: Any, tmp_path: Path) -> Page:
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get_log("browser")  # what was said before is another test's
    return Page(driver, tmp_path)


class Page:
    """A tab, and what people do in it."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver = driver
        self._folder = folder

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something; gives what the condition gave."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, _PATIENCE, 0.02).until(lambda _: condition(), what)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        return self.until(lambda: next(iter(self.all(selector)), None), f"no {selector}")

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def log_in(self, origin: str, user: str = "ada") -> None:
        self.driver.get(origin)
        self.one("[name=username]").send_keys(user)
        self.one("[name=password]").send_keys(PASSWORDS[user])
        self.one("button.primary").click()
        self.until(lambda: self.all("#welcome") and self.one("#welcome").is_displayed(), "the page does not greet")

    def say(self, text: str, mode: str | None = None) -> None:
        from selenium.webdriver.common.keys import Keys

        if mode is not None:
            self.one(f"[name=mode][value={mode}] + span").click()
        self.one("[name=text]").send_keys(text, Keys.ENTER)

    @property
    def busy(self) -> bool:
        return bool(self.one("#messages").get_attribute("aria-busy") == "true")

    def wait_for_the_end(self) -> None:
        self.until(lambda: not self.busy, "the answer has no end")

    def keep(self, name: str, scheme: str = "light") -> None:
        """Keep a screenshot."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.execute_async_script(_SETTLE)
        shot = self._folder / f"{name}-{scheme}.png"
        assert self.driver.save_screenshot(str(shot))
        assert shot.read_bytes().startswith(b"\x89PNG")

    def complaints(self) -> list[str]:
        """Give what the browser's console has: errors of scripts, and what the content security policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_logging_in_chatting_and_logging_out(
    site: str, page: Page, emulator: Emulator, halting_model: HaltingModel, tmp_path: Path
) -> None:
    with serving(site, environment_of(emulator, tmp_path)) as origin:
        page.driver.get(origin)
        page.one("[name=username]")
        page.keep("login")
        page.log_in(origin)
        page.keep("welcome")

        # streamed: part of it is there before its end
        page.say("Tell me about tides")
        page.until(lambda: page.texts(".bubble.streaming") == [BEFORE], "no part of the answer is shown")
        assert page.busy
        page.keep("streaming")
        halting_model.go_on.set()
        page.wait_for_the_end()
        assert page.texts(".bubble.assistant") == [BEFORE + AFTER]

        # in turns, with typing dots before them
        emulator.upstream = None
        page.say("Tell me a story", "turns")
        page.until(lambda: len(page.texts(".bubble.assistant:not(.typing)")) == 2 and page.all(".typing"), "no typing before the last turn")
        page.keep("typing")
        page.wait_for_the_end()
        assert len(page.texts(".bubble.assistant")) == 3
        assert not page.all(".typing")

        # a picture, and what a user writes is never HTML
        page.say("<b>Draw</b> a fox <img src=x onerror=alert(1)>", "turns")
        page.wait_for_the_end()
        assert page.texts(".bubble.user")[-1] == "<b>Draw</b> a fox <img src=x onerror=alert(1)>"
        assert not page.all("#messages b")
        image = page.one("#messages figure img")
        page.until(lambda: page.driver.execute_script("return arguments[0].naturalWidth", image) > 0, "the picture is not shown")
        page.keep("picture")
        page.keep("picture", "dark")

        page.one("#check-token").click()
        page.until(lambda: page.texts("#notice")[0].startswith("A token was handed out."), "no token")

        # all of it is there again, and after the logout it is gone, also for who goes back
        shown = page.texts("#messages .bubble")
        page.driver.refresh()
        page.until(lambda: page.texts("#messages .bubble") == shown and page.all("#messages figure img"), "the messages are gone")
        page.one("#log-out").click()
        page.one("[name=password]")
        page.driver.back()
        page.one("[name=password]")
        assert not page.all("#messages")
        page.log_in(origin)
        assert page.texts("#messages .bubble") == []
        assert page.complaints() == []


def test_stopping_and_failures(site: str, page: Page, emulator: Emulator, halting_model: HaltingModel, tmp_path: Path) -> None:
    with serving(site, environment_of(emulator, tmp_path)) as origin:
        page.log_in(origin)
        page.say("Tell me about tides")
        page.until(lambda: page.texts(".bubble.streaming") == [BEFORE], "no part of the answer is shown")
        page.one("#stop").click()
        page.wait_for_the_end()
        assert page.all(".warning") == []
        halting_model.go_on.set()
        emulator.upstream = None
        emulator.arm(path="/chat/completions", status=500, times=None)
        page.say("And now?")
        page.until(lambda: page.texts(".warning") == ["Something went wrong. Please try again."], "no excuse")
        page.wait_for_the_end()
        page.keep("warning", "dark")
        page.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})  # as if the session had ended meanwhile
        page.say("Anybody there?")
        page.one("[name=password]")


def test_who_reads_further_up_is_left_alone(site: str, page: Page, emulator: Emulator, halting_model: HaltingModel, tmp_path: Path) -> None:
    emulator.script([{"chunks": ["A line.\n"] * 60}])
    to_the_end = "const list = document.querySelector('#messages'); return list.scrollHeight - list.scrollTop - list.clientHeight"
    with serving(site, environment_of(emulator, tmp_path)) as origin:
        page.log_in(origin)
        page.say("Tell me a lot")
        page.wait_for_the_end()
        page.until(lambda: page.driver.execute_script(to_the_end) <= 1, "the end is not in view")
        page.say("Tell me about tides")
        page.until(lambda: page.texts(".bubble.streaming") == [BEFORE], "no part of the answer is shown")
        page.until(lambda: page.driver.execute_script(to_the_end) <= 1, "the end is not in view")
        page.driver.execute_async_script(_SCROLL_UP)
        halting_model.go_on.set()
        page.wait_for_the_end()
        assert page.driver.execute_script("return document.querySelector('#messages').scrollTop") == 0
        emulator.upstream = None
        page.say("Hello")
        page.wait_for_the_end()
        page.until(lambda: page.driver.execute_script(to_the_end) <= 1, "what was said just now is not in view")


def test_a_page_of_another_origin_gets_a_token_only_if_it_is_listed(site: str, page: Page, emulator: Emulator, tmp_path: Path) -> None:
    html = Answer(headers={"Content-Type": "text/html"}, body=b"<!doctype html><title>Another site</title>")
    with contextlib.ExitStack() as stack:
        listed, foreign = (stack.enter_context(HttpServer(lambda request: html)).url for _ in range(2))
        environment = {**environment_of(emulator, tmp_path), "CHAT_ORIGINS": listed}
        origin = stack.enter_context(serving(site, environment))
        page.log_in(origin)
        url = f"{origin}/api/get-animus-token"
        answers = {}
        for other in (origin, listed, foreign):
            page.driver.get(f"{other}/")
            answers[other] = page.driver.execute_async_script(_ASK_FOR_A_TOKEN, url)
        assert answers == {origin: [200, True], listed: [200, True], foreign: ["TypeError", False]}
        assert any("CORS policy" in complaint for complaint in page.complaints())
