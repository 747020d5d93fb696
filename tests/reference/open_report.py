"""Opens the reports that tests/plot.rs writes in headless Chromium, from the disk.

    LAYERWISE_FILES=folder cargo test --features plot --test plot
    python tests/reference/open_report.py folder

Fails on any request but that for the file itself, on anything in the console, and where a picture is wider than the page.
Uses the Chromium that playwright brings, or the one that CHROMIUM names. With a second folder, screenshots go there.
"""
import os
import pathlib
import sys

from playwright.sync_api import sync_playwright

reports = sorted(pathlib.Path(sys.argv[1]).resolve().rglob("*.htm*"))
assert reports, f"no reports in {sys.argv[1]}"

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"])
    for report in reports:
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        requests, messages = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(report.as_uri(), wait_until="networkidle")
        foreign = [url for url in requests if url != report.as_uri() and not url.startswith("data:")]
        assert not foreign, (report.name, foreign)
        assert not messages, (report.name, messages)
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not wide, f"{report.name} is wider than the window"
        pictures = page.locator("figure svg").count()
        broken = page.evaluate("[...document.querySelectorAll('image')].filter(i => !i.getBBox().width).length")
        assert not broken, (report.name, broken)
        if len(sys.argv) > 2:
            page.screenshot(path=pathlib.Path(sys.argv[2]) / f"{report.stem}.png", full_page=True)
        print(f"{report.name}: {pictures} pictures, no request, no message")
    browser.close()
