"""Pages and pieces around the app that are not Gradio's: the page for the key, the sign, what stands in the head."""

from __future__ import annotations

import html

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#2f7f67"/>'
    '<g fill="none" stroke="#fff" stroke-width="2.4"><circle cx="12.5" cy="16" r="6.3"/>'
    '<circle cx="19.5" cy="16" r="6.3"/></g></svg>'
)
"""Two faces that overlap."""

_PHONE = (
    "@media (max-width: 640px) { .gradio-container.gradio-container { padding: 0 6px 40px !important; } "
    ".gradio-container.gradio-container .app { padding: 8px !important; } }"
)
"""Margins round all pages. Not in the style sheet: there Gradio lets what is for small screens reach inside alone."""

HEAD = (
    '<link rel="icon" href="/favicon.ico" type="image/svg+xml"><meta name="robots" content="noindex">'
    f"<style>{_PHONE}</style>"
)

SPOKEN = """() => {
  document.documentElement.lang = "en";
  const mend = () => {
    document.querySelectorAll(".lk-answer:not([aria-live])").forEach((place) => {
      place.setAttribute("aria-live", "polite");
    });
    document.querySelectorAll(".capture-button").forEach((button) => {
      const said = button.querySelector("[title]")?.getAttribute("title");
      if (said && button.getAttribute("aria-label") !== said) button.setAttribute("aria-label", said);
    });
  };
  mend();
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
}"""
"""Answers are read out when they come, and the camera's button says what it does: Gradio leaves both out."""

_KEY_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Likeness: your key</title><link rel="icon" href="/favicon.ico" type="image/svg+xml">
<style>
:root { color-scheme: light dark; }
body { font-family: ui-sans-serif, system-ui, sans-serif; background: #faf9f6; color: #1c1b19; margin: 0;
  display: grid; place-items: center; min-height: 100vh; }
main { width: min(24rem, calc(100vw - 40px)); }
h1 { font-size: 1.5rem; letter-spacing: -0.02em; margin: 0 0 8px; }
p { color: #57544d; margin: 0 0 20px; line-height: 1.5; }
label { display: block; font-weight: 600; margin-bottom: 6px; }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: 10px 12px; border-radius: 8px; }
input { border: 1px solid #a8a399; background: #fff; color: inherit; margin-bottom: 12px; }
button { border: 0; background: #2f7f67; color: #fff; font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid #56a187; outline-offset: 2px; }
.wrong { color: #9b2c20; background: #fbe9e6; border-radius: 8px; padding: 10px 12px; }
@media (prefers-color-scheme: dark) {
  body { background: #121210; color: #f3f1ec; } p { color: #a8a399; } input { background: #1c1b19; }
  .wrong { color: #f0a196; background: #3c1a16; }
}
</style></head><body><main><h1>Likeness</h1>
<p>This server answers those who have an API key. Whoever runs it makes one with
<code>likeness keys create</code>.</p><!--note-->
<form method="post" action="/ui/key"><label for="key">Your API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus spellcheck="false">
<button>Continue</button></form></main></body></html>
"""


def key_page(wrong: str = "") -> str:
    """The page that asks for a key, with what was wrong with the one before."""
    note = f'<p class="wrong" role="alert">{html.escape(wrong[:1].upper() + wrong[1:])}.</p>' if wrong else ""
    return _KEY_PAGE.replace("<!--note-->", note)


def head_of_page(open_access: bool) -> str:
    """What stands above the tabs."""
    leave = (
        ""
        if open_access
        else '<form method="post" action="/ui/leave"><button class="lk-tag lk-none" type="submit">Leave</button></form>'
    )
    return (
        '<header class="lk-head"><h1>Likeness</h1>'
        "<p>Faces, lookalikes and honest probabilities. Photos stay on this server.</p>"
        f"{leave}</header>"
    )
